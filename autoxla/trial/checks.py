"""What XLA drops: operations whose check TensorFlow's CPU kernels make and XLA's code does not.

A kernel raises where an index is out of range, a divisor is zero or a matrix has no factorisation. XLA
clamps the index, skips the row or gives a number that is none.
"""

from __future__ import annotations

#: Operations that raise by the value of an operand under TensorFlow and not under XLA: the numbers of
#: these operands.
OPERANDS = {
    # An index out of range. XLA clamps it where it reads and skips it where it writes.
    "Gather": (1,), "GatherV2": (1, 2), "GatherNd": (1,), "ResourceGather": (1,), "ResourceGatherNd": (1,),
    "ScatterNd": (0, 2), "ScatterNdNonAliasingAdd": (1,),
    "TensorScatterUpdate": (1,), "TensorScatterAdd": (1,), "TensorScatterSub": (1,),
    "TensorScatterMin": (1,), "TensorScatterMax": (1,),
    "ResourceScatterUpdate": (1,), "ResourceScatterAdd": (1,), "ResourceScatterSub": (1,),
    "ResourceScatterMul": (1,), "ResourceScatterDiv": (1,), "ResourceScatterMin": (1,),
    "ResourceScatterMax": (1,), "ResourceScatterNdUpdate": (1,), "ResourceScatterNdAdd": (1,),
    "ResourceScatterNdSub": (1,), "ResourceScatterNdMin": (1,), "ResourceScatterNdMax": (1,),
    "UnsortedSegmentSum": (1, 2), "UnsortedSegmentProd": (1, 2), "UnsortedSegmentMin": (1, 2),
    "UnsortedSegmentMax": (1, 2), "SparseSoftmaxCrossEntropyWithLogits": (1,),
    "Slice": (1, 2), "StridedSlice": (1, 2, 3), "StridedSliceGrad": (0, 1, 2, 3),
    "TensorStridedSliceUpdate": (1, 2, 3), "ResourceStridedSliceAssign": (1, 2, 3),
    "ReverseSequence": (1,), "InvertPermutation": (0,), "DynamicPartition": (1,),
    "DynamicStitch": (0,), "Bincount": (0, 1), "DenseBincount": (0, 1), "SparseToDense": (0, 1),
    "InTopKV2": (1,), "MatrixBandPart": (1, 2),
    "TensorListGetItem": (1,), "TensorListSetItem": (1,), "TensorListGather": (1,),
    "TensorListScatter": (1,), "TensorListResize": (1,),
    # What must increase.
    "SegmentSum": (1,), "SegmentProd": (1,), "SegmentMin": (1,), "SegmentMax": (1,), "SegmentMean": (1,),
    "SegmentSumV2": (1,), "SegmentProdV2": (1,), "SegmentMinV2": (1,), "SegmentMaxV2": (1,),
    # An empty range to draw from.
    "RandomUniformInt": (1, 2), "StatelessRandomUniformInt": (2, 3), "StatelessRandomUniformIntV2": (3, 4),
}  # fmt: skip
#: The same, of integers only.
INTEGER_OPERANDS = {
    "Div": (1,), "FloorDiv": (1,), "FloorMod": (1,), "Mod": (1,), "TruncateDiv": (1,), "TruncateMod": (1,),
    "Pow": (1,), "RealDiv": (1,),
}  # fmt: skip
#: Operations that raise by what the network has computed, or are nothing but a check.
REFUSED = frozenset({
    "Assert", "CheckNumerics", "CheckNumericsV2", "Cholesky", "CholeskyGrad", "MatrixInverse", "MatrixSolve",
    "MatrixSolveLs", "MatrixTriangularSolve", "BandedTriangularSolve", "TridiagonalSolve", "Lu",
    "SelfAdjointEigV2", "Svd", "Eig", "Qr", "MatrixLogarithm", "MatrixSquareRoot", "LogMatrixDeterminant",
    "QuantizeAndDequantizeV3", "NonMaxSuppressionV4", "Where",
})  # fmt: skip
#: Operations of no cost beside a training step, whose result hangs on their operands alone.
CHEAP = frozenset({
    "Const", "Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape", "Cast", "Bitcast", "Reshape",
    "ExpandDims", "Squeeze", "Pack", "Unpack", "Concat", "ConcatV2", "ConcatOffset", "Split", "SplitV", "Slice", "StridedSlice",
    "Transpose", "Tile", "BroadcastTo", "BroadcastArgs", "BroadcastGradientArgs", "Fill", "Range", "Pad",
    "PadV2", "Reverse", "ReverseV2", "Roll", "InvertPermutation",
    "Add", "AddV2", "AddN", "Sub", "Mul", "Neg", "Abs", "Sign", "Square", "FloorDiv", "FloorMod", "Mod",
    "TruncateDiv", "TruncateMod", "RealDiv", "Div", "DivNoNan", "MulNoNan", "Minimum", "Maximum",
    "ClipByValue", "Floor", "Ceil", "Round", "Rint", "Exp", "Log", "Log1p", "Sqrt", "Pow",
    "Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "LogicalAnd", "LogicalOr",
    "LogicalNot", "Select", "SelectV2", "IsNan", "IsInf", "IsFinite", "Bucketize",
    "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Invert", "LeftShift", "RightShift",
    "Sum", "Prod", "Max", "Min", "Mean", "All", "Any", "ArgMax", "ArgMin", "Cumsum", "OneHot",
    "GatherV2", "GatherNd",
})  # fmt: skip
#: Operations whose result hangs on the shapes of their operands alone.
OF_SHAPES = frozenset({"Const", "Shape", "ShapeN", "Size", "Rank", "VariableShape", "ZerosLike", "OnesLike"})
