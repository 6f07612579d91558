"""Where TensorFlow's CPU kernels and XLA's code do not agree.

A kernel raises where an index is out of range, a divisor is zero or a matrix has no factorisation. XLA
clamps the index, skips the row, or gives a number that is none. A few operations raise in neither and give
different numbers. The lists follow XLA's lowering (``tensorflow/compiler/tf2xla/kernels``) and the CPU
kernels; ``tests/checked_operations.py`` proves them by programs, but for operations on lists and for sizes,
which are here for caution. An operation that is in none of the lists is not known, and XLA does not get
its step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Where the bound of an operand is: a dimension of another operand (`dimension`), its last dimensions one
#: by one (`dimensions`), its value (`value`), the values of a shape (`values`). Or there is no other
#: operand: the value is to be a divisor (`nonzero`), a count (`nonnegative`), or a number of the integer
#: type that it is cast to (`integer`).
Kind = Literal["dimension", "dimensions", "value", "values", "nonzero", "nonnegative", "integer"]
#: What of a value is looked at; of a list, its value is its length.
Aspect = Literal["value", "contents"]


@dataclass(frozen=True, slots=True)
class Bound:
    """An operand that must be within bounds: its number, and where the bound is found.

    `of`: the number of the operand that gives the bound. `axis`: the dimension of it, or the name of an
    attribute or ``"operand N"`` that tells it. `from_zero`: whether there is a lower bound, too.
    `inclusive`: whether the bound itself is allowed.
    """

    operand: int
    kind: Kind
    of: int = 0
    axis: int | str = 0
    from_zero: bool = True
    inclusive: bool = False


def _rows(operand: int = 1) -> Bound:
    return Bound(operand, "dimension")


def _points(operand: int = 1, axis: int | str = 0) -> Bound:
    return Bound(operand, "dimensions", axis=axis)


#: An operand that XLA does not check, and that a guard can check before.
BOUNDS: dict[str, Bound] = {
    "Gather": _rows(),
    "GatherV2": Bound(1, "dimension", axis="operand 2"),
    "GatherNd": _points(),
    "ResourceGather": Bound(1, "dimension", axis="batch_dims"),
    "ScatterNd": Bound(0, "values", of=2),
    **{f"TensorScatter{name}": _points() for name in ("Update", "Add", "Sub", "Min", "Max")},
    **{f"ResourceScatter{name}": _rows() for name in ("Update", "Add", "Sub", "Min", "Max")},
    **{f"ResourceScatterNd{name}": _points() for name in ("Update", "Add", "Sub")},
    # A row without a segment has a negative number.
    **{
        f"UnsortedSegment{name}": Bound(1, "value", of=2, from_zero=False)
        for name in ("Sum", "Prod", "Min", "Max")
    },
    "SparseSoftmaxCrossEntropyWithLogits": Bound(1, "dimension", axis=1),
    "ReverseSequence": Bound(1, "dimension", axis="seq_dim", inclusive=True),
    "Bincount": Bound(0, "nonnegative"),
    "DenseBincount": Bound(0, "nonnegative"),
    **{f"Floor{name}": Bound(1, "nonzero") for name in ("Div", "Mod")},
    **{f"Truncate{name}": Bound(1, "nonzero") for name in ("Div", "Mod")},
    **{name: Bound(1, "nonzero") for name in ("Div", "Mod")},
    "Pow": Bound(1, "nonnegative"),
    # Checked by neither; the results differ.
    "Cast": Bound(0, "integer"),
    "InTopKV2": Bound(1, "dimension", axis=1),
}  # fmt: skip
#: Of these, integers only are checked.
INTEGERS = frozenset({"Div", "FloorDiv", "FloorMod", "Mod", "TruncateDiv", "TruncateMod", "Pow"})
#: Operands that XLA does not check, and no guard does: they must hang on shapes and constants alone. `Where`
#: and its like give a result of as many rows as the data say; XLA pads it, and loses the checks of shapes.
GIVEN: dict[str, tuple[int, ...]] = {
    "InvertPermutation": (0,), "DynamicPartition": (1,), "SparseToDense": (0, 1, 3), "MatrixBandPart": (1, 2),
    "Where": (0,), "ScatterNd": (2,), "Bincount": (1,), "DenseBincount": (1,),
    **{f"UnsortedSegment{name}": (2,) for name in ("Sum", "Prod", "Min", "Max")},
    "RandomUniformInt": (1, 2), "StatelessRandomUniformInt": (2, 3), "StatelessRandomUniformIntV2": (4, 5),
    # Not checked by either; the results differ.
    "LeftShift": (1,), "RightShift": (1,),
    # Lists: the list itself stands for its length.
    "TensorListGetItem": (0, 1), "TensorListSetItem": (0, 1), "TensorListGather": (0, 1),
    "TensorListScatter": (1,), "TensorListScatterV2": (1, 3),
    "TensorListPopBack": (0,), "TensorListStack": (0,), "TensorListReserve": (1,),
    "EmptyTensorList": (1,), "TensorListSplit": (2,), "TensorListConcatV2": (0,),
}  # fmt: skip
#: Operands that XLA must know when it compiles. Where they hang on data, it compiles anew for each value.
COMPILED_IN: dict[str, tuple[int, ...]] = {
    "Slice": (1, 2), "StridedSlice": (1, 2, 3), "StridedSliceGrad": (0, 1, 2, 3),
    "TensorStridedSliceUpdate": (1, 2, 3), "ResourceStridedSliceAssign": (1, 2, 3), "DynamicStitch": (0,),
    "ParallelDynamicStitch": (0,), "Reshape": (1,), "BroadcastTo": (1,), "Fill": (0,), "Tile": (1,),
    "Range": (0, 1, 2), "LinSpace": (2,), "Pad": (1,), "PadV2": (1,), "MirrorPad": (1,), "SplitV": (1,),
    "RandomUniform": (0,), "RandomStandardNormal": (0,), "TruncatedNormal": (0,), "TopKV2": (1,),
    "OneHot": (1,), "Cumsum": (1,), "Roll": (2,), "TensorListResize": (1,),
}  # fmt: skip
#: Operations that raise by what the network has computed, or are nothing but a check. Some of them do so in
#: some releases of TensorFlow only.
REFUSED = frozenset({
    "Assert", "CheckNumerics", "Cholesky", "MatrixInverse", "MatrixSolve", "MatrixTriangularSolve",
    "SelfAdjointEigV2", "QuantizeAndDequantizeV3", "NonMaxSuppressionV4",
    "StatelessParameterizedTruncatedNormal",
})  # fmt: skip

#: Operations whose result is their first operand's, value by value.
SAME = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot", "CheckPoint"})
#: Operations that move values and make none, by the number of the operand whose values they move.
MOVES = {
    "Reshape": 0, "ExpandDims": 0, "Squeeze": 0, "Transpose": 0, "Tile": 0, "BroadcastTo": 0,
    "StridedSlice": 0, "Slice": 0, "Reverse": 0, "ReverseV2": 0, "Roll": 0, "Unpack": 0, "Split": 1,
    "SplitV": 0, "GatherV2": 0, "GatherNd": 0, "EnsureShape": 0, "RandomShuffle": 0, "Fill": 1,
}  # fmt: skip
#: Operations of little cost beside a training step, whose result hangs on their operands alone.
CHEAP = (SAME | MOVES.keys() | {
    "IdentityN", "Cast", "Bitcast", "Pack", "Concat", "ConcatV2", "ConcatOffset", "BroadcastArgs",
    "BroadcastGradientArgs", "DynamicStitch", "Range", "LinSpace", "Pad", "PadV2", "InvertPermutation",
    "Add", "AddV2", "AddN", "Sub", "Mul", "Neg", "Abs", "Sign", "Square", "FloorDiv", "FloorMod", "Mod",
    "TruncateDiv", "TruncateMod", "RealDiv", "Div", "DivNoNan", "MulNoNan", "Minimum", "Maximum",
    "ClipByValue", "Floor", "Ceil", "Round", "Rint", "Exp", "Log", "Log1p", "Sqrt", "Pow",
    "Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "LogicalAnd", "LogicalOr",
    "LogicalNot", "Select", "SelectV2", "IsNan", "IsInf", "IsFinite", "Bucketize",
    "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Invert", "LeftShift", "RightShift",
    "Sum", "Prod", "Max", "Min", "Mean", "All", "Any", "ArgMax", "ArgMin", "Cumsum", "OneHot",
}) - {"RandomShuffle"}  # fmt: skip
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
#: Calls of functions, by the number of their operands that are not the function's.
CALLS = {
    "PartitionedCall": 0, "StatefulPartitionedCall": 0, "If": 1, "StatelessIf": 1, "Case": 1,
    "StatelessCase": 1,
}  # fmt: skip
LOOPS = frozenset({"While", "StatelessWhile"})

#: Operations that raise for no value of their operands: by type and shape only, which XLA checks, too, or
#: where it refuses to compile.
HARMLESS = CHEAP | OF_SHAPES | CALLS.keys() | LOOPS | frozenset({
    "NoOp", "Placeholder", "PlaceholderWithDefault", "ControlTrigger", "Empty", "_Arg", "_Retval",
    # Variables
    "ReadVariableOp", "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp", "VarIsInitializedOp",
    "ResourceApplyAdam", "ResourceApplyAdamWithAmsgrad", "ResourceApplyGradientDescent",
    "ResourceApplyMomentum", "ResourceApplyKerasMomentum", "ResourceApplyAdagrad", "ResourceApplyAdagradV2",
    "ResourceApplyAdaMax", "ResourceApplyAdadelta", "ResourceApplyRMSProp", "ResourceApplyCenteredRMSProp",
    "ResourceApplyFtrl", "ResourceApplyFtrlV2", "ResourceApplyPowerSign", "ResourceApplyAddSign",
    "ResourceApplyProximalAdagrad", "ResourceApplyProximalGradientDescent",
    # Element by element
    "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atan2", "Atanh", "Cos", "Cosh", "Sin", "Sinh", "Tan", "Tanh",
    "TanhGrad", "Betainc", "Complex", "ComplexAbs", "Conj", "Imag", "Real", "Angle", "Digamma", "Elu",
    "EluGrad", "Erf", "Erfc", "Erfinv", "Expm1", "RandomGammaGrad",
    "Inv", "InvGrad", "Reciprocal", "ReciprocalGrad", "LeakyRelu", "LeakyReluGrad", "Lgamma", "Ndtri",
    "NextAfter", "Polygamma", "PopulationCount", "Relu", "ReluGrad", "Relu6", "Relu6Grad", "Rsqrt",
    "RsqrtGrad", "Selu", "SeluGrad", "Sigmoid", "SigmoidGrad", "Softplus", "SoftplusGrad", "Softsign",
    "SoftsignGrad", "SqrtGrad", "SquaredDifference", "Xdivy", "Xlog1py", "Xlogy", "ApproximateEqual",
    "BesselI0e", "BesselI1e",
    # Reductions and products
    "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul", "Einsum", "XlaEinsum", "L2Loss", "Cumprod",
    "CumulativeLogsumexp", "TopK", "TopKV2", "LowerBound", "UpperBound", "Cross", "ApproxTopK",
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
    "AdjustContrastv2", "AdjustHue", "AdjustSaturation", "HSVToRGB", "RGBToHSV", "ResizeBilinear",
    "ResizeBilinearGrad", "ResizeNearestNeighbor", "ResizeNearestNeighborGrad", "ExtractImagePatches", "FFT",
    "FFT2D", "FFT3D", "IFFT", "IFFT2D", "IFFT3D", "RFFT", "RFFT2D", "RFFT3D", "IRFFT", "IRFFT2D", "IRFFT3D",
    # Shapes
    "BatchToSpace", "BatchToSpaceND", "SpaceToBatch", "SpaceToBatchND", "DepthToSpace", "SpaceToDepth",
    "MirrorPad", "MirrorPadGrad", "Diag", "DiagPart", "MatrixDiag", "MatrixDiagPart", "MatrixDiagPartV2",
    "MatrixDiagPartV3", "MatrixDiagV2", "MatrixDiagV3", "MatrixSetDiag", "MatrixSetDiagV2",
    "MatrixSetDiagV3", "ConjugateTranspose", "Qr", "Svd",
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
