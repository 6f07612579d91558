"""Where TensorFlow's CPU kernels and XLA's code do not agree.

A kernel raises where an index is out of range, a divisor is zero or a matrix has no factorisation. XLA
clamps the index, skips the row, or gives a number that is none. A few operations raise in neither and give
different numbers. The lists follow XLA's lowering (``tensorflow/compiler/tf2xla/kernels``) and the CPU
kernels; ``tests/checked_operations.py`` proves them by programs, but for operations on lists and for sizes,
which are here for caution. An operation that is in none of the lists is not known, or its numbers differ
wherever it is used, as those of ``ResizeBilinear`` and ``SeluGrad``; XLA does not get its step.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

#: What of a value is looked at; of a list, its value is its length.
Aspect = Literal["value", "contents"]


class Rows(NamedTuple):
    """An index: the number of the operand that it is, and where the number is that it must be below.

    That is a dimension, `axis`, of operand `of`: a number, or the name of an attribute, or ``"operand N"``.
    Where `axis` is None, it is the value of that operand itself.
    """

    operand: int = 1
    of: int = 0
    axis: int | str | None = 0


#: Indices that XLA does not check, and that a guard can check before, where they hang on the batch.
INDICES: dict[str, Rows] = {
    "Gather": Rows(),
    "GatherV2": Rows(axis="operand 2"),
    "ResourceGather": Rows(axis="batch_dims"),
    **{f"ResourceScatter{name}": Rows() for name in ("Update", "Add", "Sub", "Min", "Max")},
    **{f"UnsortedSegment{name}": Rows(of=2, axis=None) for name in ("Sum", "Prod", "Min", "Max")},
    "SparseSoftmaxCrossEntropyWithLogits": Rows(axis=1),
    "InTopKV2": Rows(axis=1),
}
#: Shifts: TensorFlow and XLA take a number of bits that the type does not have otherwise.
SHIFTS = frozenset({"LeftShift", "RightShift"})
#: Gradients of roots, by the root and what its operand must be above. At 0, XLA makes a NaN of a gradient
#: of 0, and TensorFlow a 0.
ROOTS = {"SqrtGrad": ("Sqrt", 1e-37), "RsqrtGrad": ("Rsqrt", 1e-24)}
#: Draws from a seed, by the number of the operand that is it. XLA draws other numbers than TensorFlow.
DRAWS = {
    "StatelessRandomGetKeyCounter": 0, "StatelessRandomGetKeyCounterAlg": 0, "StatelessMultinomial": 2,
    **{f"Stateless{name}": 1 for name in (
        "RandomNormal", "RandomUniform", "RandomUniformFullInt", "RandomUniformInt", "TruncatedNormal",
    )},
}  # fmt: skip
#: Gradients of pooling. XLA takes another one of equal numbers where the borders are padded.
POOLED = frozenset({
    "MaxPoolGrad", "MaxPoolGradGrad", "MaxPoolGradV2", "MaxPool3DGrad", "MaxPool3DGradGrad",
})  # fmt: skip
#: Operations whose operands in `GIVEN` are checked if they are integers.
INTEGERS = frozenset({"Div", "FloorDiv", "FloorMod", "Mean", "Mod", "TruncateDiv", "TruncateMod", "Pow"})
#: Operands that XLA does not check, and no guard does: they must hang on shapes and constants alone.
GIVEN: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(INTEGERS, (1,)), "Mean": (0,), "Assert": (0,),
    "GatherNd": (1,), "ScatterNd": (0, 2), "ReverseSequence": (1,), "Bincount": (0, 1),
    "DenseBincount": (0, 1),
    **{f"TensorScatter{name}": (1,) for name in ("Update", "Add", "Sub", "Min", "Max")},
    **{f"ResourceScatterNd{name}": (1,) for name in ("Update", "Add", "Sub")},
    "LowerBound": (0,), "UpperBound": (0,),
    "InvertPermutation": (0,), "DynamicPartition": (1,), "SparseToDense": (0, 1, 3), "MatrixBandPart": (1, 2),
    **{f"UnsortedSegment{name}": (2,) for name in ("Sum", "Prod", "Min", "Max")},
    "RandomUniformInt": (1, 2), "StatelessRandomUniformInt": (2, 3), "StatelessRandomUniformIntV2": (4, 5),
    # Lists: the list itself stands for its length.
    "TensorListGetItem": (0, 1), "TensorListSetItem": (0, 1), "TensorListGather": (0, 1),
    "TensorListScatter": (1,), "TensorListScatterV2": (1, 3),
    "TensorListPopBack": (0,), "TensorListStack": (0,), "TensorListReserve": (1,),
    "EmptyTensorList": (1,), "TensorListSplit": (2,), "TensorListConcatV2": (0,),
}  # fmt: skip
#: Operands that XLA must know when it compiles. Where they hang on data, it compiles anew for each value. Of
#: `Where` they decide how many rows it gives; XLA pads these, and loses the checks of shapes.
COMPILED_IN: dict[str, tuple[int, ...]] = {
    "Slice": (1, 2), "StridedSlice": (1, 2, 3), "StridedSliceGrad": (0, 1, 2, 3),
    "TensorStridedSliceUpdate": (1, 2, 3), "ResourceStridedSliceAssign": (1, 2, 3), "Reshape": (1,),
    "BroadcastTo": (1,), "Fill": (0,), "Tile": (1,),
    "Range": (0, 1, 2), "LinSpace": (2,), "Pad": (1,), "PadV2": (1,), "MirrorPad": (1,), "SplitV": (1,),
    "RandomUniform": (0,), "RandomStandardNormal": (0,), "TruncatedNormal": (0,), "TopKV2": (1,),
    "OneHot": (1,), "Cumsum": (1,), "Roll": (2,), "TensorListResize": (1,),
    "Where": (0,),
}  # fmt: skip

#: Of these it must know the first half of the operands.
STITCHES = frozenset({"DynamicStitch", "ParallelDynamicStitch"})

#: Operations whose result is their first operand's, value by value.
SAME = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot", "CheckPoint"})
#: Operations that move values and make none, by the number of the operand whose values they move.
MOVES = {
    "Reshape": 0, "ExpandDims": 0, "Squeeze": 0, "Transpose": 0, "Tile": 0, "BroadcastTo": 0,
    "StridedSlice": 0, "Slice": 0, "Reverse": 0, "ReverseV2": 0, "Roll": 0, "Unpack": 0, "Split": 1,
    "SplitV": 0, "GatherV2": 0, "GatherNd": 0, "EnsureShape": 0, "RandomShuffle": 0, "Fill": 1,
    "Unique": 0,
}  # fmt: skip
#: Operations of which sizes and indices are computed, whose result hangs on their operands alone.
PURE = (SAME | MOVES.keys() | {
    "IdentityN", "Cast", "Bitcast", "Pack", "Concat", "ConcatV2", "ConcatOffset", "BroadcastArgs",
    "BroadcastGradientArgs", "DynamicStitch", "Range", "LinSpace", "Pad", "PadV2", "InvertPermutation",
    "Add", "AddV2", "AddN", "Sub", "Mul", "Neg", "Abs", "Sign", "Square", "FloorDiv", "FloorMod", "Mod",
    "TruncateDiv", "TruncateMod", "RealDiv", "Div", "DivNoNan", "MulNoNan", "Minimum", "Maximum",
    "Floor", "Ceil", "Round", "Rint", "Exp", "Log", "Log1p", "Sqrt", "Pow",
    "Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "LogicalAnd", "LogicalOr",
    "LogicalNot", "Select", "SelectV2", "IsNan", "IsInf", "IsFinite", "Bucketize",
    "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Invert", "LeftShift", "RightShift",
    "Sum", "Prod", "Max", "Min", "Mean", "All", "Any", "ArgMax", "ArgMin", "Cumsum", "OneHot",
}) - {"RandomShuffle", "Unique"}  # fmt: skip
#: Operations whose result hangs on the shapes of their operands alone.
OF_SHAPES = frozenset({
    "Const", "Shape", "ShapeN", "Size", "Rank", "VariableShape", "ZerosLike", "OnesLike",
    "TensorListElementShape", "TensorListFromTensor",
})  # fmt: skip
#: Operations on lists that give a list of a length that hangs on these operands.
LENGTHS = {
    "TensorListReserve": (1,), "EmptyTensorList": (), "TensorListPushBack": (0,), "TensorListPopBack": (0,),
    "TensorListSetItem": (0, 1), "TensorListResize": (1,), "TensorListLength": (0,),
    "TensorListScatterV2": (1, 3), "TensorListScatter": (1,),
}  # fmt: skip
#: What a list holds hangs on these operands, and on what of them.
CONTENTS: dict[str, tuple[tuple[int, Aspect], ...]] = {
    "TensorListReserve": (), "EmptyTensorList": (), "TensorListFromTensor": ((0, "value"),),
    "TensorListPushBack": ((0, "contents"), (0, "value"), (1, "value")),
    "TensorListPopBack": ((0, "contents"),),
    "TensorListSetItem": ((0, "contents"), (1, "value"), (2, "value")),
}  # fmt: skip
#: Operations that take a value out of a list.
TAKEN = frozenset({"TensorListGetItem", "TensorListPopBack"})
LOOPS = frozenset({"While", "StatelessWhile"})
#: Calls of functions: the attributes that name these. Of a branch, the first operand is not the function's.
BRANCHES = frozenset({"If", "StatelessIf"})
CALLS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(LOOPS, ("body", "cond")), **dict.fromkeys(BRANCHES, ("then_branch", "else_branch")),
    "PartitionedCall": ("f",), "StatefulPartitionedCall": ("f",),
}  # fmt: skip

#: Operations that raise for no value of their operands: by type and shape only, which XLA checks, too, or
#: where it refuses to compile.
HARMLESS = PURE | OF_SHAPES | CALLS.keys() | frozenset({
    "NoOp", "Placeholder", "PlaceholderWithDefault", "ControlTrigger", "Empty", "_Arg", "_Retval",
    # Variables
    "ReadVariableOp", "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp", "VarIsInitializedOp",
    "ResourceApplyAdam", "ResourceApplyAdamWithAmsgrad", "ResourceApplyGradientDescent",
    "ResourceApplyMomentum", "ResourceApplyKerasMomentum", "ResourceApplyAdagrad", "ResourceApplyAdagradV2",
    "ResourceApplyAdaMax", "ResourceApplyAdadelta", "ResourceApplyRMSProp", "ResourceApplyCenteredRMSProp",
    "ResourceApplyFtrl", "ResourceApplyFtrlV2", "ResourceApplyPowerSign", "ResourceApplyAddSign",
    "ResourceApplyProximalGradientDescent",
    # Element by element
    "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atan2", "Atanh", "Cos", "Cosh", "Sin", "Sinh", "Tan", "Tanh",
    "TanhGrad", "Betainc", "Complex", "ComplexAbs", "Conj", "Imag", "Real", "Angle", "Digamma", "Elu",
    "EluGrad", "Erf", "Erfc", "Erfinv", "Expm1", "Reciprocal", "LeakyRelu", "LeakyReluGrad", "Lgamma",
    "NextAfter", "Polygamma", "PopulationCount", "Relu", "ReluGrad", "Relu6", "Relu6Grad", "Rsqrt", "Selu",
    "Sigmoid", "SigmoidGrad", "Softplus", "SoftplusGrad", "Softsign", "SoftsignGrad", "SquaredDifference",
    "Xdivy", "Xlog1py", "Xlogy", "BesselI0e", "BesselI1e",
    # Reductions and products
    "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul", "Einsum", "XlaEinsum", "L2Loss", "Cumprod",
    "CumulativeLogsumexp", "TopK", "TopKV2", "Cross", "ApproxTopK",
    # The network
    "AvgPool", "AvgPoolGrad", "AvgPool3D", "AvgPool3DGrad", "BiasAdd", "BiasAddGrad", "BiasAddV1", "Conv",
    "Conv2D", "Conv2DBackpropFilter", "Conv2DBackpropFilterV2", "Conv2DBackpropInput",
    "Conv2DBackpropInputV2", "Conv3D", "Conv3DBackpropFilterV2", "Conv3DBackpropInputV2",
    "DepthwiseConv2dNative", "DepthwiseConv2dNativeBackpropFilter", "DepthwiseConv2dNativeBackpropInput",
    "FusedBatchNorm", "FusedBatchNormGrad", "FusedBatchNormV2", "FusedBatchNormGradV2", "FusedBatchNormV3",
    "FusedBatchNormGradV3", "LRN", "LRNGrad", "LogSoftmax", "MaxPool", "MaxPoolGrad", "MaxPoolGradGrad",
    "MaxPoolV2", "MaxPoolGradV2", "MaxPool3D", "MaxPool3DGrad", "MaxPool3DGradGrad", "Softmax",
    "SoftmaxCrossEntropyWithLogits",
    # Images and signals
    "AdjustContrastv2", "AdjustSaturation", "HSVToRGB", "RGBToHSV", "ResizeNearestNeighbor",
    "ExtractImagePatches", "FFT", "FFT2D", "FFT3D", "IFFT", "IFFT2D", "IFFT3D", "RFFT", "RFFT2D", "RFFT3D",
    "IRFFT", "IRFFT2D", "IRFFT3D",
    # Shapes
    "BatchToSpace", "BatchToSpaceND", "SpaceToBatch", "SpaceToBatchND", "DepthToSpace", "SpaceToDepth",
    "MirrorPad", "MirrorPadGrad", "Diag", "DiagPart", "MatrixDiag", "MatrixDiagPart", "MatrixDiagPartV2",
    "MatrixDiagPartV3", "MatrixDiagV2", "MatrixDiagV3", "MatrixSetDiag", "MatrixSetDiagV2",
    "MatrixSetDiagV3", "ConjugateTranspose", "Qr",
    # Random numbers
    "Multinomial", "RandomStandardNormal", "RandomUniform", "TruncatedNormal", "RandomShuffle",
    "StatelessMultinomial", "StatelessRandomNormal", "StatelessRandomNormalV2", "StatelessRandomUniform",
    "StatelessRandomUniformV2", "StatelessRandomUniformFullInt", "StatelessRandomUniformFullIntV2",
    "StatelessTruncatedNormal", "StatelessTruncatedNormalV2", "StatelessRandomGetAlg",
    "StatelessRandomGetKeyCounter", "StatelessRandomGetKeyCounterAlg", "RngReadAndSkip", "RngSkip",
    "StatefulUniform", "StatefulStandardNormalV2", "StatefulTruncatedNormal", "StatefulUniformFullInt",
    # Lists whose length nobody can get wrong
    "TensorListPushBack", "TensorListLength", "Unique",
})  # fmt: skip
