r"""Known errors of TensorFlow and Keras: the signs by which each is told, and what there is to say of it.

Frameworks say what they met, seldom why. Each entry here is about one cause. All of it is data;
`autoxla.hooks.error_hints` looks it up, when there is an error to explain.

Every expression is bounded: no ``*`` and no ``+``, so that searching costs no more than the length of
what is searched. Codes: AX13x mixed generations, AX14x saved models, AX15x XLA, AX16x removed and
private interfaces, AX17x Keras cannot be imported, AX18x libraries that do not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """By what an error is recognised, and the hint that it gets.

    `types` are names of exception classes, of which the error's class or a base of it must have one.
    `pattern` is searched in the message. `within`: a top-level package whose code must be on the
    traceback. `after`: searched in the message of the exception that was being handled. `threads`: several
    threads must have imported watched modules at the same time. A hint that depends on the message is made
    from it.
    """

    types: tuple[str, ...]
    pattern: str
    hint: str | Callable[[str], str]
    within: str = ""
    after: str = ""
    threads: bool = False

    def hint_on(self, message: str) -> str:
        """Return the hint on an error with this message."""
        return self.hint if isinstance(self.hint, str) else self.hint(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownError(Sign):
    """One cause: `why` it happens, the last line of a traceback that it leaves, and all its signs."""

    code: str
    title: str
    why: str
    error: str
    more: tuple[Sign, ...] = ()

    @property
    def signs(self) -> tuple[Sign, ...]:
        """All signs of this cause, in the order in which they are looked for."""
        return (self, *self.more)


#: Keras compiles these for ``compile(jit_compile=True)``; all others have a decorator of the program's.
_STEPS_OF_KERAS = ("one_step_on_data", "run_step")
_OPERATION = re.compile(r"No registered '(\w{1,99})' OpKernel|on XLA_\w{1,20}: (\w{1,99})")
_FUNCTION = re.compile(r"(?:trying to compile graph|while converting) __inference_(\w{1,200})_\d{1,20}\b")
_LINE = re.compile(r'^File "([^"\n]{1,1000})", line (\d{1,9}), in', re.MULTILINE)
#: The program's own code lies elsewhere.
_LIBRARIES = ("site-packages/", "dist-packages/", "autoxla/__main__.py", "<frozen ")


def name_operation(message: str) -> str:
    """Return which operation XLA cannot compile, where it is and who asked for XLA, by the message."""
    operation, function = _OPERATION.search(message), _FUNCTION.search(message)
    what = "one of its operations" if operation is None else f"its operation {operation[1] or operation[2]}"
    if function is None or function[1] in _STEPS_OF_KERAS:
        who, other = "The step", "the input pipeline"
        remedy = "Pass jit_compile=False to compile()"
    else:
        who, other = f"{function[1]}, by @tf.function(jit_compile=True),", "another function"
        remedy = "Take jit_compile=True out of that decorator"
    # The innermost line of the program that made the operation; its folder may be cut off.
    lines = [line for line in _LINE.findall(message) if not any(part in line[0] for part in _LIBRARIES)]
    place = f" ({lines[-1][0].rpartition('/')[2]}:{lines[-1][1]})" if lines else ""
    return (
        f"{who} is compiled by XLA, and XLA cannot compile {what}{place}. {remedy}, or move the "
        f"operation into {other}."
    )


_IMPORT = ("ImportError",)
_ATTRIBUTE = ("AttributeError",)
_VALUE = ("ValueError",)
_TYPE = ("TypeError",)
_ATTRIBUTE_OR_IMPORT = ("AttributeError", "ImportError")
_VALUE_OR_TYPE = ("ValueError", "TypeError")
_XLA = ("OpError", "RuntimeError")
_PLUGIN = ("NotFoundError", "ImportError", "OSError")

#: The packages whose names stand for Keras 3 in messages; those of Keras 2 have api._v2 in them.
_KERAS_3 = r"'(?:tensorflow\.|keras\._tf_keras\.)?keras"

_ONE_GENERATION = "Take all parts of a model from one of them"
_AT_ONCE = (
    "Threads imported TensorFlow and Keras at the same time. The packages import each other, so a thread "
    "found half of one. Import tensorflow and keras in the main thread, before the threads start."
)
_SWITCH = "with tf_keras installed, set TF_USE_LEGACY_KERAS=1 before tensorflow is imported"
#: What reads everything that Keras 2 wrote. To save it anew with tf_keras makes no file that Keras 3 reads.
_ALIAS = "with tf_keras installed, start the program with AUTOXLA_KERAS=legacy"

#: The documents behind the codes, by their beginnings.
SOURCES = {
    "AX13": "Keras 3 and tf_keras, checks of what a model is given",
    "AX14": "Keras 3 and tf_keras, saving and loading",
    "AX15": "TensorFlow and XLA, errors of compilation",
    "AX16": "Keras 3 and TensorFlow, public interfaces",
    "AX17": "TensorFlow, the lazy loader of tf.keras; Keras 3, choice of the backend",
    "AX18": "The dynamic loader, NumPy and protobuf, checks of binary interfaces",
}

#: In this order they are looked for.
KNOWN_ERRORS = (
    KnownError(
        code="AX130",
        title="A layer of Keras 2 in a Keras 3 model",
        why="""Keras 3 and tf_keras have classes of the same names. A layer of one is an unknown object to the
        other, and the message shows two names that read alike. Often a library builds on tf_keras.""",
        error="ValueError: Only instances of `keras.Layer` can be added to a Sequential model. Received: "
        "<tf_keras.src.layers.core.dense.Dense object at 0x7f0> (of type <class "
        "'tf_keras.src.layers.core.dense.Dense'>)",
        types=_VALUE,
        pattern=r"Only instances of `keras\.Layer` can be added to a Sequential model\. Received: "
        r"(?s:.{0,4000})of type <class '(?!keras\.|numpy\.)\w{1,99}\.",
        hint="A layer of Keras 2 (tf_keras, or a library built on it such as tensorflow_hub) does not work "
        f"in a Keras 3 model. {_ONE_GENERATION}: build the model with tf_keras, or {_SWITCH}.",
    ),
    KnownError(
        code="AX133",
        title="A foreign layer in a Keras 2 model",
        why="""The model is of tf_keras and the layer is not. With `TF_USE_LEGACY_KERAS=1` that happens
        easily: `tf.keras` is Keras 2 then, while `import keras` still gives Keras 3.""",
        error="TypeError: The added layer must be an instance of class Layer. Received: layer=<Dense "
        "name=dense, built=False> of type <class 'keras.src.layers.core.dense.Dense'>.",
        types=_TYPE,
        pattern=r"The added layer must be an instance of class Layer\. Received: (?s:.{0,4000})"
        r"of type <class '(?!tf_keras\.|numpy\.)\w{1,99}\.",
        hint="A layer that is not of Keras 2 was added to a Keras 2 (tf_keras) model; `import keras` gives "
        f"Keras 3. {_ONE_GENERATION}: import the layer from tf_keras, or build the model with keras.",
    ),
    KnownError(
        code="AX134",
        title="Optimizer or schedule of another generation",
        why="""An optimizer holds the variables of its model in the manner of its own generation, so no
        generation takes another's. The message prints the class as if it were misspelt. A schedule gets
        further, since it looks like a plain function.""",
        error="ValueError: Could not interpret optimizer identifier: <tf_keras.src.optimizers.adam.Adam "
        "object at 0x7f0>",
        types=_VALUE,
        pattern=r"Could not interpret optimizer identifier: <(?:tf_)?keras\.",
        hint=f"Optimizer or schedule and model come from two generations of Keras. {_ONE_GENERATION}; the "
        "optimizer's name as a string ('adam') fits every model.",
        more=(
            Sign(
                types=_TYPE,
                pattern=r"\w{1,60}\.__call__\(\) missing 1 required positional argument: 'step'",
                hint="A learning-rate schedule of the other generation of Keras was taken for a plain "
                "function. Take optimizer and schedule both from keras.optimizers or both from "
                "tf_keras.optimizers.",
                within="keras",
            ),
            Sign(
                types=_VALUE,
                pattern=r"Could not interpret optimizer identifier: "
                r"<tensorflow\.python\.(?:keras|training)\.",
                hint="The optimizer is one of TensorFlow 1 or of TensorFlow's private copy of Keras. Take "
                "it from the optimizers module of the Keras that the model is of.",
            ),
        ),
    ),
    KnownError(
        code="AX135",
        title="A symbolic tensor of another generation",
        why="""`Input` and the tensors that come from it describe a model to the generation that made them.
        Layers of the other generation miss attributes on them, far from the line that mixed the two.""",
        error="ValueError: All `inputs` values must be KerasTensors. Received: inputs=KerasTensor(…) "
        "including invalid value KerasTensor(…) of type <class "
        "'tf_keras.src.engine.keras_tensor.KerasTensor'>",
        types=_ATTRIBUTE,
        pattern=r"'tuple' object has no attribute 'rank'",
        hint="A layer of Keras 2 (tf_keras) was called on a tensor of Keras 3, whose shape is a plain "
        f"tuple. {_ONE_GENERATION}, Input included.",
        within="tf_keras",
        more=(
            Sign(
                types=_ATTRIBUTE,
                pattern=r"'KerasTensor' object has no attribute 'node'",
                hint="A Keras 2 (tf_keras) Model was given tensors of Keras 3. Take Model, Input and layers "
                "from one generation.",
                within="tf_keras",
            ),
            Sign(
                types=_VALUE,
                pattern=r"values must be KerasTensors\. Received: (?s:.{0,4000})of type <class 'tf_keras\.",
                hint="A Keras 3 Model was given tensors of Keras 2 (tf_keras). Take Model, Input and layers "
                "from one generation.",
            ),
            Sign(
                types=_TYPE,
                pattern=r"You are passing KerasTensor\((?s:.{0,4000})to a TF API that does not allow "
                r"registering custom dispatchers",
                hint="A symbolic tensor of Keras 2 (tf_keras) went into code that is not of Keras 2: a "
                "Keras 3 layer, or a TensorFlow function that takes no symbolic tensors. Take Input and "
                "layers from one generation.",
            ),
        ),
    ),
    KnownError(
        code="AX136",
        title="Metrics, callbacks or variables of Keras 3 in a Keras 2 model",
        why="""`compile` and `fit` of tf_keras ask what they are given for attributes that only Keras 2
        objects have. The error names such an attribute, not the metric or callback that brought it.""",
        error="AttributeError: 'EarlyStopping' object has no attribute '_implements_train_batch_hooks'",
        types=_ATTRIBUTE,
        pattern=r"'Variable' object has no attribute '_(?:distribute_strategy|unique_id)'",
        hint="A Keras 2 (tf_keras) model met variables of Keras 3: a metric or a layer of `keras` is part "
        f"of it. {_ONE_GENERATION}.",
        within="tf_keras",
        more=(
            Sign(
                types=_ATTRIBUTE,
                pattern=r"'\w{1,99}' object has no attribute "
                r"'_implements_(?:train|test|predict)_batch_hooks'",
                hint="A callback of Keras 3 was given to a Keras 2 (tf_keras) model. Import it from "
                "tf_keras.callbacks, or from tf.keras.callbacks if the model is a tf.keras one.",
            ),
        ),
    ),
    KnownError(
        code="AX137",
        title="A function for one generation, a model of the other",
        why="""Wrapping layers, savers, tuners and pruning tools check for objects of their own generation.
        Their messages name the class that they want, which is what the object seems to be.""",
        error="ValueError: Please initialize `TimeDistributed` layer with a `keras.layers.Layer` instance. "
        "Received: <tf_keras.src.layers.core.dense.Dense object at 0x7f0>",
        types=_VALUE,
        pattern=r"Please initialize `\w{1,60}` layer with a `(?:tf\.)?keras\.layers\.Layer` instance\. "
        r"Received: <(?:(?:tf_)?keras\.|\w{1,99} name=)",
        hint=f"The wrapping layer and the wrapped one come from two generations of Keras. {_ONE_GENERATION}.",
        more=(
            Sign(
                types=_VALUE,
                pattern=r"`to_(?:annotate|quantize)` can only be a|"
                r"`prune_low_magnitude` can only prune an object",
                hint="tensorflow_model_optimization works on Keras 2. Build the model with tf_keras, or "
                f"{_SWITCH} and use tf.keras.",
            ),
            Sign(
                types=("ValueError", "TypeError", "FatalTypeError"),
                pattern=r"Expected the model-building function(?s:.{0,400})valid Keras Model instance",
                hint="keras_tuner takes models of whatever `import keras` gives, whatever tf.keras is. "
                "Build the model with `import keras`.",
            ),
            Sign(
                types=_VALUE,
                pattern=r"Expected object to be an instance of `KerasSaveable`, but got (?s:.{0,4000})"
                r"of type <class 'tf_keras\.",
                hint="keras.saving saves models of Keras 3, this is one of Keras 2. Use model.save() or "
                "tf_keras.models.save_model().",
            ),
        ),
    ),
    KnownError(
        code="AX138",
        title="A TensorFlow function called on a symbolic tensor",
        why="""Keras 2 turned any TensorFlow function that met a symbolic tensor into a layer. Keras 3 does
        not. So functional models with such calls stop working with TensorFlow 2.16, though their code is the
        same.""",
        error="ValueError: A KerasTensor cannot be used as input to a TensorFlow function. A KerasTensor is "
        "a symbolic placeholder for a shape and dtype, used when constructing Keras Functional models.",
        types=_VALUE,
        pattern=r"A KerasTensor cannot be used as input to a TensorFlow function",
        hint="Under Keras 3 a TensorFlow function takes no symbolic tensor; under Keras 2 it did. Call it "
        "inside a layer's call(), use its counterpart in keras.ops, or, for code written for Keras 2, "
        f"{_SWITCH}.",
    ),
    KnownError(
        code="AX140",
        title="A SavedModel, or nothing at all, where Keras 3 wants a file",
        why="""Under Keras 2 a path without extension was a SavedModel folder. Keras 3 reads `.keras` and
        `.h5` files only, and says the same of a folder as of a path that does not exist. With
        `AUTOXLA_KERAS=legacy` the name `keras` gives tf_keras, which reads such folders. To load a folder
        with tf_keras and to save it anew does not help: Keras 3 cannot read the file that this makes.""",
        error="ValueError: File format not supported: filepath=my_model. Keras 3 only supports V3 `.keras` "
        "files, legacy H5 format files (`.h5` extension).",
        types=_VALUE,
        pattern=r"File format not supported: filepath=(?s:.{0,4000})Keras 3 only supports V3 "
        r"`\.keras` files, legacy H5",
        hint="The path does not exist, or it is a SavedModel folder, which Keras 3 does not read. For such a "
        f"folder, {_ALIAS}: keras is then tf_keras, which reads it. For inference alone, Keras 3 has "
        "keras.layers.TFSMLayer(folder, call_endpoint='serving_default').",
    ),
    KnownError(
        code="AX141",
        title="A model of Keras 3, read by Keras 2",
        why="""Both generations write files with the same extensions, each with its own arguments of layers.
        Keras 2 meets one that it does not know. Weights carry over, configurations do not.""",
        error="TypeError: Error when deserializing class 'InputLayer'. Exception encountered: Unrecognized "
        "keyword arguments: ['batch_shape']",
        types=_VALUE_OR_TYPE,
        pattern=r"Unrecognized keyword arguments: \['(?:batch_shape|optional)'",
        hint="The model was saved by Keras 3 and is read by Keras 2. Load it with "
        "keras.models.load_model(), with TF_USE_LEGACY_KERAS unset if that is tf.keras; or carry over the "
        "weights (save_weights to .weights.h5) into a model built by code.",
    ),
    KnownError(
        code="AX142",
        title="Arguments that only Keras 2 layers have",
        why="""Keras 3 dropped some arguments of layers, and a file or a program of Keras 2 still passes
        them. tf_keras reads the files of Keras 2; with `AUTOXLA_KERAS=legacy` the name `keras` gives
        tf_keras. In a program the argument usually does nothing today.""",
        error="TypeError: Error when deserializing class 'DepthwiseConv2D': Unrecognized keyword arguments "
        "passed to DepthwiseConv2D: {'groups': 1}",
        types=_VALUE_OR_TYPE,
        pattern=r"Unrecognized keyword arguments passed to \w{1,99}: \{(?:'groups'|'batch_input_shape'|"
        r"'time_major'|'implementation')",
        hint="Keras 2 had this argument, Keras 3 does not have it. If it stands in a file that is loaded, "
        f"{_ALIAS}: keras is then tf_keras, which reads the file. If it stands in the program, take it out.",
        more=(
            Sign(
                types=_VALUE_OR_TYPE,
                pattern=r"Unrecognized keyword arguments(?s:.{0,4000})'batch_input_shape'",
                hint="The model was saved by Keras 2 and is read by Keras 3, which has no batch_input_shape. "
                f"To read it, {_ALIAS}: keras is then tf_keras.",
            ),
        ),
    ),
    KnownError(
        code="AX143",
        title="A loss or metric by its short name in an .h5 file",
        why="""An `.h5` file of a compiled model holds its losses and metrics by name. Keras 3 does not find
        functions by the short names of Keras 2. Inference does not need them.""",
        error="TypeError: Could not deserialize 'keras.metrics.mse' because it is not a KerasSaveable "
        "subclass",
        types=_VALUE_OR_TYPE,
        pattern=r"Could not (?:deserialize|locate function) '(?:keras\.(?:metrics|losses)\.)?"
        r"(?:mse|mae|mape|msle|kld|mean_\w{1,60})'",
        hint="The .h5 file names its loss or metric by a short name that Keras 3 does not find. Load it "
        "with compile=False and compile the model again.",
    ),
    KnownError(
        code="AX144",
        title="Saving to a path without extension",
        why="""The extension decides the format now. A program that saved SavedModel folders under Keras 2
        fails at its very last line, after the training.""",
        error="ValueError: Invalid filepath extension for saving. Please add either a `.keras` extension "
        "for the native Keras format or a `.h5` extension.",
        types=_VALUE,
        pattern=r"Invalid filepath extension for saving",
        hint="Keras 3 saves models as .keras or .h5 only; a path without extension was a SavedModel under "
        "Keras 2. Add .keras, or write a SavedModel with model.export().",
    ),
    KnownError(
        code="AX145",
        title="save_format with Keras 3",
        why="""The argument chose between formats. Keras 3 tells them by the extension, and `save` no longer
        writes SavedModels. The error comes at the end of the training.""",
        error="ValueError: The `save_format` argument is deprecated in Keras 3. Please remove this argument "
        "and pass a file path with either `.keras` or `.h5` extension.",
        types=_VALUE,
        pattern=r"The `save_format` argument is deprecated in Keras 3",
        hint="Keras 3 takes the format from the extension. Drop save_format and name the file .keras; for a "
        "SavedModel (save_format='tf') use model.export().",
    ),
    KnownError(
        code="AX146",
        title="Weights in a file that Keras 3 does not write or read",
        why="""TensorFlow checkpoints of weights belong to Keras 2. Keras 3 insists on `.weights.h5`. The
        callback `ModelCheckpoint` does, too, and stops the training at the first checkpoint.""",
        error="ValueError: The filename must end in `.weights.h5`. Received: filepath=weights.h5",
        types=_VALUE,
        pattern=r"The filename must end in `\.weights\.h5`",
        hint="Keras 3 saves weights as .weights.h5 only; other names were TensorFlow checkpoints or plain "
        ".h5 under Keras 2. Name the file so, in ModelCheckpoint(save_weights_only=True), too.",
        more=(
            Sign(
                types=_VALUE,
                pattern=r"File format not supported: filepath=(?s:.{0,4000})Keras 3 only supports V3 "
                r"`\.keras` files, `\.weights\.h5`",
                hint="Keras 3 reads no TensorFlow checkpoints of weights. Load them into the model built "
                "with tf_keras and save them as .weights.h5, or read them with tf.train.load_checkpoint().",
            ),
        ),
    ),
    KnownError(
        code="AX147",
        title="A configuration of another generation",
        why="""`to_json`, `get_config` and `.keras` files name classes and modules of the generation that
        wrote them. The other one does not have them under these names: it does not even find `Sequential`.
        With `AUTOXLA_KERAS=legacy` the name `keras` gives tf_keras, which reads what Keras 2 wrote.""",
        error="TypeError: Could not locate class 'Sequential'. Make sure custom classes are decorated with "
        "`@keras.saving.register_keras_serializable()`.",
        types=_VALUE_OR_TYPE,
        pattern=r"Could not locate class '(?:Sequential|Functional|Model)'",
        hint="The configuration was written by another generation of Keras. If that was Keras 2, "
        f"{_ALIAS}: keras is then tf_keras, which reads it. If it was Keras 3, read it with "
        "keras.models.model_from_json().",
        more=(
            Sign(
                types=_VALUE_OR_TYPE,
                pattern=r"Could not deserialize class '\w{1,99}' because its parent module "
                r"keras\.(?:src\.)?engine\.[\w.]{1,99} cannot be imported",
                hint=f"The model was saved by Keras 2 and is read by Keras 3. To read it, {_ALIAS}: keras is "
                "then tf_keras.",
            ),
        ),
    ),
    KnownError(
        code="AX150",
        title="Operations that XLA cannot compile",
        why="""With `jit_compile` the whole step or function goes through XLA. One operation that XLA does not
        implement is enough to fail all of it: strings, lookup tables, printing, Python functions. The error
        comes when it first runs, among many lines of other text.""",
        error="InvalidArgumentError: Detected unsupported operations when trying to compile graph "
        "__inference_step_12[] on XLA_CPU_JIT: StringFormat (No registered 'StringFormat' OpKernel …)"
        '{{node StringFormat}}\nThe op is created at:\nFile "train.py", line 3, in step',
        types=("OpError",),
        pattern=r"Detected unsupported operations when trying to compile graph|"
        r"tf2xla conversion failed while converting|"
        r"No registered '\w{1,99}' OpKernel for XLA_\w{1,20} devices",
        hint=name_operation,
    ),
    KnownError(
        code="AX151",
        title="XLA and a variable on another device",
        why="""A compiled step runs on one device and cannot reach the variables of another. A strategy of
        several devices always has some. Keras 3 therefore does not compile there unless it is told to.""",
        error="InvalidArgumentError: Trying to access resource dense/kernel/replica_1 located in device "
        "/job:localhost/replica:0/task:0/device:CPU:1 from device "
        "/job:localhost/replica:0/task:0/device:CPU:0",
        types=("OpError", "ValueError"),
        pattern=r"Trying to access resource (?s:.{0,2000})located in device",
        hint="A step compiled by XLA under tf.distribute reached for a variable on another device. Pass "
        "jit_compile=False to compile() under a strategy.",
    ),
    KnownError(
        code="AX152",
        title="XLA without CUDA's libdevice",
        why="""To compile for NVIDIA GPUs, XLA needs a file of the CUDA toolkit that the driver does not
        bring. Keras compiles by default on a GPU, so programs that never heard of XLA meet this.""",
        error="InternalError: libdevice not found at ./libdevice.10.bc [Op:__some_xla_op]",
        types=_XLA,
        pattern=r"libdevice not found at|Can't find libdevice directory|libdevice\.10\.bc",
        hint="XLA does not find CUDA's libdevice. Install nvidia-cuda-nvcc-cu12, or set "
        "XLA_FLAGS=--xla_gpu_cuda_data_dir=FOLDER, which must hold nvvm/libdevice, before the program "
        "starts; jit_compile=False does without XLA.",
    ),
    KnownError(
        code="AX153",
        title="cuDNN does not start",
        why="""The first convolution loads cuDNN. If its release does not fit the framework, or somebody else
        has taken the GPU's memory, it cannot start, and the error tells neither.""",
        error="RuntimeError: FAILED_PRECONDITION: DNN library initialization failed. Look at the errors "
        "above for more details.",
        types=_XLA,
        pattern=r"DNN library initialization failed",
        hint="cuDNN could not start: its release is not the one that the framework was built for, or the "
        "GPU's memory is taken, often by a second framework in this process or by another program.",
    ),
    KnownError(
        code="AX154",
        title="XLA without ROCm's files",
        why="""For AMD GPUs XLA needs bitcode files and a linker of ROCm, and looks where `ROCM_PATH` and
        `PATH` point. A terminal sets both; an editor or a service that starts the program sets neither.""",
        error="InternalError: bitcode module not found at ./opencl.bc",
        types=_XLA,
        pattern=r"bitcode module not found at \./\w{1,60}\.bc|unable to find ld\.lld in PATH",
        hint="XLA does not find ROCm. Set ROCM_PATH to its folder (commonly /opt/rocm) and put its llvm/bin "
        "on PATH before the program starts; IDEs often start programs without the shell's variables.",
    ),
    KnownError(
        code="AX155",
        title="XLA on Metal",
        why="""XLA has no compiler for Apple's GPUs, and Keras 3 does not compile there by itself. Something
        asked for it: `jit_compile=True`, or an optimizer of an older Keras that compiles its update.""",
        error="NotFoundError: could not find registered platform with id: 0x1056be9e0",
        types=_XLA,
        pattern=r"Could not find compiler for platform METAL|could not find registered platform with id: 0x",
        hint="There is no XLA for Metal GPUs. Pass jit_compile=False to compile() and to every tf.function.",
    ),
    KnownError(
        code="AX156",
        title="XLA on an Intel GPU that has none",
        why="""The plug-in registers a compiler for its device only while its own XLA is on. With that off,
        Keras still compiles by default, because it sees an accelerator.""",
        error="InvalidArgumentError: No JIT device registered for XPU",
        types=_XLA,
        pattern=r"No JIT device registered for XPU",
        hint="No XLA is registered for the Intel GPU in this process. Pass jit_compile=False to compile() "
        "and set ITEX_DISABLE_XLA=1 before tensorflow is imported.",
    ),
    KnownError(
        code="AX157",
        title="An initializer that is given a tensor as a size",
        why="""Initializers that scale with the size of a layer compute with it in Python. Inside a compiled
        function `tf.shape(x)[0]` is no number yet but a symbolic tensor. `x.shape[0]` is a number where the
        size is known.""",
        error="TypeError: in user code: … in compute_fans: int() argument must be a string, a bytes-like "
        "object or a real number, not 'SymbolicTensor'",
        types=_TYPE,
        pattern=r"compute_fans(?s:.{0,400})int\(\) argument must be (?s:.{0,100}) not "
        r"'(?:SymbolicTensor|Tensor)'",
        hint="This initializer needs plain numbers as sizes, and tf.shape(x)[0] is a tensor in a compiled "
        "function. Write x.shape[0] where the size is known, or draw the noise with tf.random, which takes "
        "tensors as sizes.",
    ),
    KnownError(
        code="AX160",
        title="Legacy optimizers under Keras 3",
        why="""tf_keras keeps the optimizers of old for programs that depend on their exact behaviour; Keras 3
        does not. `python -m autoxla check` finds such lines before anything runs.""",
        error="ImportError: `keras.optimizers.legacy` is not supported in Keras 3. When using `tf.keras`, "
        "to continue using a `tf.keras.optimizers.legacy` optimizer, you can install the `tf_keras` package.",
        types=_ATTRIBUTE_OR_IMPORT,
        pattern=r"`keras\.optimizers\.legacy` is not supported in Keras 3|"
        rf"module {_KERAS_3}\.optimizers' has no attribute 'legacy'|"
        rf"No module named {_KERAS_3}\.optimizers\.legacy",
        hint=f"Keras 3 has no legacy optimizers. For tf.keras: {_SWITCH}; or take the optimizer of the same "
        "name from keras.optimizers.",
    ),
    KnownError(
        code="AX161",
        title="Sessions and other functions of the old backend module",
        why="""`keras.backend` once held the functions for all that Keras does. Keras 3 keeps a handful of
        them. Sessions, placeholders and the learning phase have no meaning there.""",
        error="AttributeError: module 'keras.backend' has no attribute 'set_session'",
        types=_ATTRIBUTE,
        pattern=r"`tf\.compat\.v[12]\.keras` is not available with Keras 3",
        hint=f"tf.compat.v1.keras is Keras 2 only: {_SWITCH}; or call the same function of tf.keras.",
        more=(
            Sign(
                types=_ATTRIBUTE_OR_IMPORT,
                pattern=rf"module {_KERAS_3}\.backend' has no attribute '\w{{1,60}}'|"
                rf"cannot import name '\w{{1,60}}' from {_KERAS_3}\.backend'",
                hint="keras.backend of Keras 3 keeps only a few functions; sessions, placeholders and the "
                "learning phase are gone. Use keras.ops and the training argument of call(); or, for "
                f"tf.keras, {_SWITCH}.",
            ),
        ),
    ),
    KnownError(
        code="AX162",
        title="Interfaces of TensorFlow 1",
        why="""Much code and many published answers date from TensorFlow 1. Part of it lives on in
        `tf.compat.v1`; `tf.contrib` and estimators are gone for good.""",
        error="AttributeError: module 'tensorflow' has no attribute 'estimator'",
        types=_ATTRIBUTE_OR_IMPORT,
        pattern=r"(?:module 'tensorflow(?:\.compat\.v1)?' has no attribute '|No module named 'tensorflow\.)"
        r"(?:estimator|contrib)\b",
        hint="TensorFlow has no contrib since 2.0 and no estimator since 2.16. Rewrite it with Keras or "
        "tf.function; code that cannot change needs tensorflow<2.16 (estimator) or 1.15 (contrib).",
        more=(
            Sign(
                types=_ATTRIBUTE,
                pattern=r"module 'tensorflow' has no attribute '(?:placeholder|Session|get_default_graph|"
                r"global_variables_initializer|set_random_seed|ConfigProto|app|flags|layers|get_variable|"
                r"variable_scope|reset_default_graph|to_float|log)'",
                hint="This is an interface of TensorFlow 1. tf.compat.v1 has it; `import "
                "tensorflow.compat.v1 as tf` followed by tf.disable_v2_behavior() runs most such programs.",
            ),
        ),
    ),
    KnownError(
        code="AX163",
        title="A private module of an older Keras",
        why="""The module was never public, and the layout of Keras changed several times since. A library
        that imports it was written for one release of Keras. Usually there is a public name that stays.""",
        error="ModuleNotFoundError: No module named 'keras.layers.core'",
        types=_ATTRIBUTE_OR_IMPORT,
        pattern=rf"No module named {_KERAS_3}\.(?:engine|legacy\.interfaces|objectives|"
        r"saving\.hdf5_format|layers\.(?:core|normalization|convolutional|recurrent|merge|"
        r"advanced_activations|embeddings|pooling|wrappers)|optimizer_v[12]|initializers\.\w{1,60}_v\d|"
        r"utils\.(?:generic_utils|np_utils|vis_utils|layer_utils|data_utils|conv_utils|"
        r"multi_gpu_utils|training_utils|io_utils))\b|"
        r"cannot import name '(?:generic_utils|np_utils|vis_utils|layer_utils|data_utils|conv_utils|"
        rf"multi_gpu_model|hdf5_format)' from {_KERAS_3}",
        hint="The module is a private one of an older Keras and is gone. Take the public names "
        "(keras.layers, keras.models, keras.utils); a library that does this needs a newer release or an "
        "older Keras.",
        more=(
            Sign(
                types=_IMPORT,
                pattern=r"No module named 'keras\.src\.(?:engine|preprocessing|saving\.legacy|"
                r"optimizers\.(?:legacy|optimizer_v\d)|initializers\.initializers_v1|"
                r"utils\.(?:generic_utils|np_utils|vis_utils|layer_utils|data_utils|conv_utils))\b",
                hint="The module is a private one of Keras 2. If a file that is loaded names it (a pickled "
                f"Tokenizer or model), {_ALIAS}: keras is then tf_keras, which has the module. A library "
                "that imports it needs a newer release.",
            ),
            Sign(
                types=_IMPORT,
                pattern=r"cannot import name '\w{1,60}' from 'tensorflow\.python\.keras|"
                r"No module named 'tensorflow\.python\.keras",
                hint="tensorflow.python.keras is a private, old copy of Keras inside TensorFlow and fits no "
                "other Keras. Import from tensorflow.keras.",
            ),
        ),
    ),
    KnownError(
        code="AX164",
        title="Something that Keras 3 has elsewhere, or nowhere",
        why="""The experimental modules went into the stable ones, layers replaced the old preprocessing, and
        the wrappers for scikit-learn moved to a package of their own. The error names the old place only.""",
        error="ModuleNotFoundError: No module named 'keras.preprocessing.text'",
        types=_ATTRIBUTE_OR_IMPORT,
        pattern=rf"module {_KERAS_3}(?:\.\w{{1,60}})?' has no attribute 'experimental'|"
        rf"No module named {_KERAS_3}\.(?:\w{{1,60}}\.)?experimental\b|"
        rf"cannot import name 'experimental' from {_KERAS_3}",
        hint="Keras 3 has no experimental modules. The preprocessing layers are in keras.layers, the "
        f"optimizers in keras.optimizers; or, for tf.keras, {_SWITCH}.",
        more=(
            Sign(
                types=_ATTRIBUTE_OR_IMPORT,
                pattern=rf"No module named {_KERAS_3}\.(?:preprocessing\.text|wrappers|"
                rf"datasets\.\w{{1,60}}_v\d)\b|"
                rf"module {_KERAS_3}\.preprocessing\.image' has no attribute 'ImageDataGenerator'|"
                r"cannot import name '(?:ImageDataGenerator|Tokenizer|CuDNNLSTM|CuDNNGRU|KerasClassifier|"
                rf"KerasRegressor)' from {_KERAS_3}",
                hint="Keras 3 does not have this. TextVectorization replaces Tokenizer, "
                "image_dataset_from_directory ImageDataGenerator, LSTM and GRU the CuDNN layers, the package "
                "scikeras the wrappers. For a pickled Tokenizer, or a program that is to stay as it is, "
                "AUTOXLA_KERAS=legacy makes keras tf_keras.",
            ),
        ),
    ),
    KnownError(
        code="AX165",
        title="Arguments of the optimizers of old",
        why="""`lr` and `decay` were renamed or replaced years ago, and accepted for a long time. Keras 3
        refuses `lr`; the optimizers of tf_keras refuse `decay`.""",
        error="ValueError: Argument(s) not recognized: {'lr': 0.1}",
        types=_VALUE_OR_TYPE,
        pattern=r"Argument\(s\) not recognized: \{'(?:lr|decay)'|"
        r"decay is deprecated in the new (?:TF-)?Keras optimizer",
        hint="The argument belongs to the optimizers of old. Write learning_rate for lr, and a schedule "
        "from optimizers.schedules for decay.",
    ),
    KnownError(
        code="AX166",
        title="Methods that models no longer have",
        why="""`fit_generator` and its like became part of `fit`, `evaluate` and `predict`. `predict_classes`
        went because its answer depended on the last layer's activation.""",
        error="AttributeError: 'Sequential' object has no attribute 'fit_generator'",
        types=_ATTRIBUTE,
        pattern=r"'\w{1,99}' object has no attribute '(?:fit|evaluate|predict)_generator'|"
        r"'(?:Sequential|Functional|Model)' object has no attribute 'predict_(?:classes|proba)'",
        hint="fit, evaluate and predict take generators themselves; predict_classes is "
        "numpy.argmax(model.predict(x), axis=-1), or model.predict(x) > 0.5 for one sigmoid output.",
    ),
    KnownError(
        code="AX167",
        title="Names that tf.keras has in Keras 2 only",
        why="""Libraries used `tf.keras.__internal__` for lack of something public. Keras 3 does not have it.
        Some modules of `keras` are left out of `tf.keras` by oversight.""",
        error="AttributeError: module 'keras._tf_keras.keras' has no attribute '__internal__'",
        types=_ATTRIBUTE_OR_IMPORT,
        pattern=rf"module {_KERAS_3}' has no attribute '__internal__'|"
        rf"No module named {_KERAS_3}\.__internal__",
        hint="tf.keras.__internal__ is Keras 2; a library built on it (tensorflow_probability before 0.24, "
        f"tensorflow_addons …) needs a newer release, or {_SWITCH}.",
        more=(
            Sign(
                types=_ATTRIBUTE,
                pattern=r"module '(?:tensorflow\.keras|keras\._tf_keras\.keras)' "
                r"has no attribute '(?:saving|src)'",
                hint="This release of Keras leaves the module out of tf.keras. Use the same name of `import "
                "keras`, for example keras.saving.",
            ),
        ),
    ),
    KnownError(
        code="AX168",
        title="Keras Core",
        why="""The preview of Keras 3 was published as keras_core and became part of Keras 3. Its package is
        no longer developed; the code runs under the new name.""",
        error="ModuleNotFoundError: No module named 'keras_core'",
        types=_IMPORT,
        pattern=r"No module named 'keras_core\b",
        hint="Keras Core was renamed to Keras 3: write `import keras`, with keras>=3 installed.",
    ),
    KnownError(
        code="AX170",
        title="Keras without its backend",
        why="""TensorFlow imports Keras, Keras imports the backend that is configured, and that fails. The
        last line speaks of Keras, which is installed; the cause stands further up.""",
        error="ImportError: Keras cannot be imported. Check that it is installed.",
        types=_IMPORT,
        pattern=r"Keras cannot be imported\. Check that it is installed",
        hint="Keras is installed, but importing it failed: the package of the chosen backend is missing. "
        "Set KERAS_BACKEND=tensorflow (or the backend in keras.json), or install that package.",
        after=r"No module named '(?:torch|jax|jaxlib|openvino)\b",
    ),
    KnownError(
        code="AX171",
        title="tf.keras finds no Keras",
        why="""The message stands for several causes, and TensorFlow swallows the error behind it. Most often
        `TF_USE_LEGACY_KERAS` is set and the package tf_keras is not installed.""",
        error="ImportError: Keras cannot be imported. Check that it is installed.",
        types=_IMPORT,
        pattern=r"Keras cannot be imported\. Check that it is installed",
        hint="tf.keras found no Keras. With TF_USE_LEGACY_KERAS set it wants tf_keras: pip install "
        "tf-keras, or unset the variable. Without it, `python -c 'import keras'` shows the real error.",
    ),
    KnownError(
        code="AX172",
        title="transformers and Keras 3",
        why="""The TensorFlow models of transformers were written for Keras 2. The library checks that at its
        import, even in programs that only use PyTorch, as soon as TensorFlow is installed.""",
        error="ValueError: Your currently installed version of Keras is Keras 3, but this is not yet "
        "supported in Transformers. Please install the backwards-compatible tf-keras package with `pip "
        "install tf-keras`.",
        types=("ValueError", "ImportError", "RuntimeError"),
        pattern=r"installed version of Keras is Keras 3, but this is not yet supported in Transformers",
        hint="This release of transformers knows Keras 2 only. pip install tf-keras; or, if only PyTorch "
        "models are used, set USE_TF=0 before transformers is imported, so that it leaves TensorFlow alone.",
    ),
    KnownError(
        code="AX173",
        title="A library that insists on Keras 2",
        why="""Some libraries look at the generation of `tf.keras` when they are imported and stop if it is
        not theirs. The cure has two halves: tf_keras has to be installed, and the switch has to be on.""",
        error="ValueError: You have tensorflow 2.21.0 and this requires tf-keras package. Please run `pip "
        "install tf-keras` or downgrade your tensorflow.",
        types=("ValueError", "ImportError"),
        pattern=r"requires? tf[-_]keras package|requires tf\.keras to be Keras version 2|"
        r"requires `?tf[-_]keras`?",
        hint="The library works on Keras 2 only. pip install tf-keras and set TF_USE_LEGACY_KERAS=1 before "
        "tensorflow is imported.",
    ),
    KnownError(
        code="AX174",
        title="A backend that Keras 3 does not have",
        why="""A variable names it, or a file in the home directory that an old Keras wrote; theano and cntk
        were backends then. As TensorFlow imports Keras, `import tensorflow` fails as well.""",
        error="ValueError: Unable to import backend : theano",
        types=_VALUE,
        pattern=r"Unable to import backend : ",
        hint='KERAS_BACKEND, or "backend" in ~/.keras/keras.json, names a backend that Keras 3 does not '
        "have. It has tensorflow, jax, torch, numpy and openvino.",
    ),
    KnownError(
        code="AX175",
        title="tf_keras is not installed",
        why="""Up to TensorFlow 2.15 Keras 2 came with TensorFlow. Since then it is a package of its own, and
        its release follows TensorFlow's.""",
        error="ModuleNotFoundError: No module named 'tf_keras'",
        types=_IMPORT,
        pattern=r"No module named 'tf_keras\b",
        hint="Keras 2 is a package of its own since TensorFlow 2.16: pip install tf-keras, in the release "
        "of the installed TensorFlow.",
    ),
    KnownError(
        code="AX176",
        title="Keras without any backend",
        why="""`pip install keras` installs Keras 3 without a backend, and its default is TensorFlow. The
        error names tensorflow although the program may never have meant to use it.""",
        error="ModuleNotFoundError: No module named 'tensorflow'",
        types=_IMPORT,
        pattern=r"No module named '(?:tensorflow|torch|jax)'",
        hint="Keras 3 itself comes without a backend. Install tensorflow, or set KERAS_BACKEND to one that "
        "is installed (jax, torch) before keras is imported.",
        within="keras",
    ),
    # Before AX177, whose signs are more general.
    KnownError(
        code="AX179",
        title="TensorFlow and Keras imported by several threads at once",
        why="""TensorFlow imports Keras and Keras imports TensorFlow. Two threads that begin at both ends wait
        for each other, and one of them goes on with half a package. Which error that is, and whether there is
        one, depends on timing.""",
        error="_DeadlockError: deadlock detected by _ModuleLock('keras.src') at 140234",
        types=("_DeadlockError",),
        pattern=r"deadlock detected by _ModuleLock\('(?:tensorflow|keras|tf_keras)\b",
        hint=_AT_ONCE,
        more=(
            Sign(
                types=(*_ATTRIBUTE_OR_IMPORT, "KeyError"),
                pattern=r"partially initialized module '(?:tensorflow|keras|tf_keras)\b|"
                r"cannot access submodule '\w{1,99}' of module '(?:tensorflow|keras|tf_keras)\b|"
                r"module 'tensorflow\.python\.[\w.]{1,200}' has no attribute|"
                r"No module named 'tensorflow\.|Registering two gradient with name",
                hint=_AT_ONCE,
                threads=True,
            ),
        ),
    ),
    KnownError(
        code="AX177",
        title="Keras imported inside its own import",
        why="""Keras imports TensorFlow, TensorFlow loads its plug-ins, and a plug-in imports Keras, which is
        not ready yet. The order of two import lines decides whether that happens.""",
        error="AttributeError: partially initialized module 'keras' has no attribute 'src' (most likely due "
        "to a circular import)",
        types=_ATTRIBUTE_OR_IMPORT,
        pattern=r"from partially initialized module 'keras\.src\.|"
        r"partially initialized module 'keras' has no attribute 'src'",
        hint="Keras was imported while it was still being imported, as happens when a TensorFlow plug-in "
        "imports it. Import tensorflow before keras.",
    ),
    KnownError(
        code="AX178",
        title="Another module of that name",
        why="""Python finds a file `keras.py` next to the script, or an empty folder that an uninstallation
        left, before the package. It imports it without complaint, and the first use fails.""",
        error="AttributeError: module 'keras' has no attribute 'layers'",
        types=_ATTRIBUTE,
        pattern=r"module '(?:keras|tensorflow)' has no attribute "
        r"'(?:__version__|layers|models|constant|Variable)'",
        hint="This is not the package: a file or folder of that name stands first on sys.path, or an "
        "uninstallation left an empty folder. Print the module's __file__ and __path__, and rename or "
        "reinstall.",
    ),
    KnownError(
        code="AX180",
        title="oneAPI's libraries are not found",
        why="""Intel's plug-in links against libraries of oneAPI that its wheel does not bring. The
        dynamic loader looks for them while TensorFlow loads the plug-in, and every program of that
        environment fails.""",
        error="NotFoundError: libimf.so: cannot open shared object file: No such file or directory",
        types=_PLUGIN,
        pattern=r"lib(?:imf|irng|intlc|svml|sycl|mkl_\w{1,40}|iomp5|ze_loader|OpenCL|ur_loader|umf|tbb|tcm)\.so"
        r"[\w.]{0,20}: cannot open shared object file",
        hint="Intel's plug-in for TensorFlow does not find the oneAPI libraries, and takes TensorFlow down "
        "with it. Load them before Python starts (source /opt/intel/oneapi/setvars.sh), or uninstall "
        "intel-extension-for-tensorflow.",
    ),
    KnownError(
        code="AX181",
        title="A plug-in that cannot be loaded",
        why="""TensorFlow loads every library in the folder `tensorflow-plugins`. One that cannot be loaded
        ends the import of TensorFlow. Usually it was made for another release, or its installation is not
        whole.""",
        error="NotFoundError: /venv/lib/python3.11/site-packages/tensorflow-plugins/libitex_cpu.so: "
        "undefined symbol: TF_SetOpKernel",
        types=_PLUGIN,
        pattern=r"tensorflow-plugins/[^\n:]{1,400}: ",
        hint="A plug-in in tensorflow-plugins cannot be loaded, and TensorFlow ends its own import for "
        "that. Reinstall the distribution that the file belongs to in the release that fits TensorFlow, or "
        "uninstall it.",
    ),
    KnownError(
        code="AX182",
        title="Compiled for another NumPy",
        why="""NumPy 2 changed its binary interface. A module that was compiled for NumPy 1 does not work with
        it, and the other way round. Which of them has to move depends on the installed TensorFlow.""",
        error="ImportError: numpy.core.multiarray failed to import",
        types=("ImportError", "AttributeError", "ValueError"),
        pattern=r"compiled using NumPy 1\.x cannot be run in|_ARRAY_API not found|"
        r"numpy\.core\.(?:multiarray|umath) failed to import|numpy\.(?:dtype|ndarray) size changed",
        hint="A compiled module was built for the other major release of NumPy. Install the numpy that the "
        "installed TensorFlow asks for (`pip check` tells), or newer builds of the module.",
    ),
    KnownError(
        code="AX183",
        title="protobuf of another release",
        why="""TensorFlow and many other packages contain code that protobuf generated, which works with
        certain releases of the runtime only. The last package that was installed moved protobuf out of the
        range.""",
        error="TypeError: Descriptors cannot be created directly. If this call came from a _pb2.py file, "
        "your generated code is out of date.",
        types=("TypeError", "ImportError", "VersionError"),
        pattern=r"Descriptors cannot (?:not )?be created directly|Detected (?:incompatible|mismatched) "
        r"Protobuf Gencode/Runtime|"
        r"cannot import name '(?:builder|runtime_version)' from 'google\.protobuf",
        hint="The installed protobuf does not fit the code that was generated for another release. Install "
        "the protobuf that TensorFlow asks for (`pip check` tells).",
    ),
    KnownError(
        code="AX184",
        title="A library for another TensorFlow",
        why="""Packages with TensorFlow operations of their own are compiled against one minor release of
        TensorFlow, whose C++ symbols change with the next. The name of the missing symbol tells as much.""",
        error="NotFoundError: libtensorflow_text.so: undefined symbol: _ZN3tsl5mutexC1Ev",
        types=_PLUGIN,
        pattern=r"undefined symbol: _ZN\w{0,400}(?:tsl|tensorflow|absl)",
        hint="The library was compiled for another release of TensorFlow. For tensorflow-text, "
        "tensorflow-decision-forests and their like install the release with TensorFlow's own minor version.",
    ),
    KnownError(
        code="AX185",
        title="SYCL without a driver",
        why="""Intel's plug-in asks the SYCL runtime for devices while TensorFlow is imported. Without a
        driver that the runtime can use, the plug-in fails, and `import tensorflow` with it.""",
        error="RuntimeError: Native API failed. Native API returns: 4 (UR_RESULT_ERROR_INVALID_VALUE)",
        types=_XLA,
        pattern=r"UR_RESULT_ERROR_\w{1,60}|Native API failed\. Native API returns",
        hint="The SYCL runtime found no driver that it can use. Install the Intel GPU driver, or uninstall "
        "intel-extension-for-tensorflow on machines without an Intel GPU.",
    ),
)
