r"""Known error texts of TensorFlow and Keras, and what each means.

Frameworks tell what they met, seldom why. A `Note` says cause and remedy for one text that is known
to have one cause. All of it is data: a text is recognised by the exception's type names, a regular
expression on its message and, where that alone would fit other errors, by the package whose code is
on the traceback or by the exception that came before.

Every expression is bounded: no ``*`` and no ``+``, so that searching costs no more than the length of
what is searched. Codes: AX13x mixed generations, AX14x saved models, AX15x XLA, AX16x removed and
private interfaces, AX17x Keras cannot be had, AX18x libraries that do not fit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import TracebackType

from autoxla.hooks.finder import FINDER

#: Characters of a message that are searched, at its start and again at its end.
SEARCHED = 8192
#: Frames of a traceback that are looked at.
DEEPEST = 200

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


@dataclass(frozen=True, slots=True)
class Note:
    """What one known error means.

    `types` are names of exception classes, of which the error's class or a base of it must have one.
    `pattern` is searched in the message. `within`: a top-level package whose code must be on the
    traceback. `after`: searched in the message of the exception that was being handled. `threads`: several
    threads must have imported watched modules at the same time.
    """

    code: str
    types: tuple[str, ...]
    pattern: str
    text: str
    within: str = ""
    after: str = ""
    threads: bool = False


NOTES = (
    # --- AX13x: two generations of Keras in one process
    Note(
        "AX130",
        _VALUE,
        r"Only instances of `keras\.Layer` can be added to a Sequential model\. Received: "
        r"(?s:.{0,4000})of type <class '(?!keras\.|numpy\.)\w{1,99}\.",
        "A layer of Keras 2 (tf_keras, or a library built on it such as tensorflow_hub) is no layer for a "
        f"Keras 3 model. {_ONE_GENERATION}: build the model with tf_keras, or {_SWITCH}.",
    ),
    Note(
        "AX133",
        _TYPE,
        r"The added layer must be an instance of class Layer\. Received: (?s:.{0,4000})"
        r"of type <class '(?!tf_keras\.|numpy\.)\w{1,99}\.",
        "A layer that is not of Keras 2 was added to a Keras 2 (tf_keras) model; `import keras` gives "
        f"Keras 3. {_ONE_GENERATION}: import the layer from tf_keras, or build the model with keras.",
    ),
    Note(
        "AX134",
        _VALUE,
        r"Could not interpret optimizer identifier: <(?:tf_)?keras\.",
        f"Optimizer or schedule and model come from two generations of Keras. {_ONE_GENERATION}; the "
        "optimizer's name as a string ('adam') fits every model.",
    ),
    Note(
        "AX134",
        _TYPE,
        r"\w{1,60}\.__call__\(\) missing 1 required positional argument: 'step'",
        "A learning-rate schedule of the other generation of Keras was taken for a plain function. Take "
        "optimizer and schedule both from keras.optimizers or both from tf_keras.optimizers.",
        within="keras",
    ),
    Note(
        "AX134",
        _VALUE,
        r"Could not interpret optimizer identifier: <tensorflow\.python\.(?:keras|training)\.",
        "The optimizer is one of TensorFlow 1 or of TensorFlow's private copy of Keras. Take it from the "
        "optimizers module of the Keras that the model is of.",
    ),
    Note(
        "AX135",
        _ATTRIBUTE,
        r"'tuple' object has no attribute 'rank'",
        "A layer of Keras 2 (tf_keras) was called on a tensor of Keras 3, whose shape is a plain tuple. "
        f"{_ONE_GENERATION}, Input included.",
        within="tf_keras",
    ),
    Note(
        "AX135",
        _ATTRIBUTE,
        r"'KerasTensor' object has no attribute 'node'",
        "A Keras 2 (tf_keras) Model was given tensors of Keras 3. Take Model, Input and layers from one "
        "generation.",
        within="tf_keras",
    ),
    Note(
        "AX135",
        _VALUE,
        r"values must be KerasTensors\. Received: (?s:.{0,4000})of type <class 'tf_keras\.",
        "A Keras 3 Model was given tensors of Keras 2 (tf_keras). Take Model, Input and layers from one "
        "generation.",
    ),
    Note(
        "AX135",
        _TYPE,
        r"You are passing KerasTensor\((?s:.{0,4000})to a TF API that does not allow registering custom "
        r"dispatchers",
        "A symbolic tensor of Keras 2 (tf_keras) went into code that is not of Keras 2: a Keras 3 layer, or "
        "a TensorFlow function that takes no symbolic tensors. Take Input and layers from one generation.",
    ),
    Note(
        "AX136",
        _ATTRIBUTE,
        r"'Variable' object has no attribute '_(?:distribute_strategy|unique_id)'",
        "A Keras 2 (tf_keras) model met variables of Keras 3: a metric or a layer of `keras` is part of it. "
        f"{_ONE_GENERATION}.",
        within="tf_keras",
    ),
    Note(
        "AX136",
        _ATTRIBUTE,
        r"'\w{1,99}' object has no attribute '_implements_(?:train|test|predict)_batch_hooks'",
        "A callback of Keras 3 was given to a Keras 2 (tf_keras) model. Import it from tf_keras.callbacks, "
        "or from tf.keras.callbacks if the model is a tf.keras one.",
    ),
    Note(
        "AX137",
        _VALUE,
        r"Please initialize `\w{1,60}` layer with a `(?:tf\.)?keras\.layers\.Layer` instance\. Received: "
        r"<(?:(?:tf_)?keras\.|\w{1,99} name=)",
        f"The wrapping layer and the wrapped one come from two generations of Keras. {_ONE_GENERATION}.",
    ),
    Note(
        "AX137",
        _VALUE,
        r"`to_(?:annotate|quantize)` can only be a|`prune_low_magnitude` can only prune an object",
        "tensorflow_model_optimization works on Keras 2. Build the model with tf_keras, or "
        f"{_SWITCH} and use tf.keras.",
    ),
    Note(
        "AX137",
        ("ValueError", "TypeError", "FatalTypeError"),
        r"Expected the model-building function(?s:.{0,400})valid Keras Model instance",
        "keras_tuner takes models of whatever `import keras` gives, whatever tf.keras is. Build the model "
        "with `import keras`.",
    ),
    Note(
        "AX137",
        _VALUE,
        r"Expected object to be an instance of `KerasSaveable`, but got (?s:.{0,4000})of type "
        r"<class 'tf_keras\.",
        "keras.saving saves models of Keras 3, this is one of Keras 2. Use model.save() or "
        "tf_keras.models.save_model().",
    ),
    Note(
        "AX138",
        _VALUE,
        r"A KerasTensor cannot be used as input to a TensorFlow function",
        "Under Keras 3 a TensorFlow function takes no symbolic tensor; under Keras 2 it did. Call it inside "
        "a layer's call(), use its counterpart in keras.ops, or, for code written for Keras 2, "
        f"{_SWITCH}.",
    ),
    # --- AX14x: files of another generation
    Note(
        "AX140",
        _VALUE,
        r"File format not supported: filepath=(?s:.{0,4000})Keras 3 only supports V3 `\.keras` files, "
        r"legacy H5",
        "The path does not exist, or it is a SavedModel folder, which Keras 3 does not read. Load that "
        "with tf_keras.models.load_model() and save it anew as .keras, or use keras.layers.TFSMLayer for "
        "inference.",
    ),
    Note(
        "AX141",
        _VALUE_OR_TYPE,
        r"Unrecognized keyword arguments: \['(?:batch_shape|optional)'",
        "The model was saved by Keras 3 and is read by Keras 2. Load it with keras.models.load_model(), "
        "with TF_USE_LEGACY_KERAS unset if that is tf.keras; or carry over the weights "
        "(save_weights to .weights.h5) into a model built by code.",
    ),
    Note(
        "AX142",
        _VALUE_OR_TYPE,
        r"Unrecognized keyword arguments passed to \w{1,99}: \{(?:'groups'|'batch_input_shape'|"
        r"'time_major'|'implementation')",
        "The layer's configuration is one of Keras 2, and Keras 3 has no such argument. A file: load it with "
        "tf_keras.models.load_model(), or build the model by code and load the weights only. A program: "
        "take the argument out.",
    ),
    Note(
        "AX142",
        _VALUE_OR_TYPE,
        r"Unrecognized keyword arguments(?s:.{0,4000})'batch_input_shape'",
        "The model was saved by Keras 2 and is read by Keras 3, which has no batch_input_shape. Load it with "
        "tf_keras.models.load_model(), or build it by code and load the weights only.",
    ),
    Note(
        "AX143",
        _VALUE_OR_TYPE,
        r"Could not (?:deserialize|locate function) '(?:keras\.(?:metrics|losses)\.)?"
        r"(?:mse|mae|mape|msle|kld|mean_\w{1,60})'",
        "The .h5 file names its loss or metric by a short name that Keras 3 does not find. Load it with "
        "compile=False and compile the model again.",
    ),
    Note(
        "AX144",
        _VALUE,
        r"Invalid filepath extension for saving",
        "Keras 3 saves models as .keras or .h5 only; a path without extension was a SavedModel under "
        "Keras 2. Add .keras, or write a SavedModel with model.export().",
    ),
    Note(
        "AX145",
        _VALUE,
        r"The `save_format` argument is deprecated in Keras 3",
        "Keras 3 takes the format from the extension. Drop save_format and name the file .keras; for a "
        "SavedModel (save_format='tf') use model.export().",
    ),
    Note(
        "AX146",
        _VALUE,
        r"The filename must end in `\.weights\.h5`",
        "Keras 3 saves weights as .weights.h5 only; other names were TensorFlow checkpoints or plain .h5 "
        "under Keras 2. Name the file so, in ModelCheckpoint(save_weights_only=True), too.",
    ),
    Note(
        "AX146",
        _VALUE,
        r"File format not supported: filepath=(?s:.{0,4000})Keras 3 only supports V3 `\.keras` files, "
        r"`\.weights\.h5`",
        "Keras 3 reads no TensorFlow checkpoints of weights. Load them into the model built with tf_keras "
        "and save them as .weights.h5, or read them with tf.train.load_checkpoint().",
    ),
    Note(
        "AX147",
        _VALUE_OR_TYPE,
        r"Could not locate class '(?:Sequential|Functional|Model)'",
        "The configuration was written by another generation of Keras. Read it with the one that wrote it: "
        "keras for Keras 3, tf_keras for Keras 2.",
    ),
    # --- AX15x: XLA and its tools
    Note(
        "AX150",
        ("OpError",),
        r"Detected unsupported operations when trying to compile graph|"
        r"tf2xla conversion failed while converting",
        "The step is compiled by XLA, and XLA cannot compile all of its operations (strings, lookups and "
        "Python functions among them). Pass jit_compile=False to compile(), or move those operations into "
        "the input pipeline.",
    ),
    Note(
        "AX150",
        ("OpError",),
        r"No registered '\w{1,99}' OpKernel for XLA_\w{1,20} devices",
        "XLA has no implementation of this operation for the device. Pass jit_compile=False to compile(), "
        "or to the tf.function.",
    ),
    Note(
        "AX151",
        ("OpError", "ValueError"),
        r"Trying to access resource (?s:.{0,2000})located in device",
        "A step compiled by XLA under tf.distribute reached for a variable on another device. Pass "
        "jit_compile=False to compile() under a strategy.",
    ),
    Note(
        "AX152",
        _XLA,
        r"libdevice not found at|Can't find libdevice directory|libdevice\.10\.bc",
        "XLA does not find CUDA's libdevice. Install nvidia-cuda-nvcc-cu12, or set "
        "XLA_FLAGS=--xla_gpu_cuda_data_dir=FOLDER, which must hold nvvm/libdevice, before the program "
        "starts; jit_compile=False does without XLA.",
    ),
    Note(
        "AX153",
        _XLA,
        r"DNN library initialization failed",
        "cuDNN could not start: its release is not the one that the framework was built for, or the GPU's "
        "memory is taken, often by a second framework in this process or by another program.",
    ),
    Note(
        "AX154",
        _XLA,
        r"bitcode module not found at \./\w{1,60}\.bc|unable to find ld\.lld in PATH",
        "XLA does not find ROCm. Set ROCM_PATH to its folder (commonly /opt/rocm) and put its llvm/bin on "
        "PATH before the program starts; IDEs often start programs without the shell's variables.",
    ),
    Note(
        "AX155",
        _XLA,
        r"Could not find compiler for platform METAL|could not find registered platform with id: 0x",
        "There is no XLA for Metal GPUs. Pass jit_compile=False to compile() and to every tf.function.",
    ),
    Note(
        "AX156",
        _XLA,
        r"No JIT device registered for XPU",
        "No XLA is registered for the Intel GPU in this process. Pass jit_compile=False to compile() and set "
        "ITEX_DISABLE_XLA=1 before tensorflow is imported.",
    ),
    # --- AX16x: what Keras 3 and TensorFlow 2 no longer have
    Note(
        "AX160",
        _ATTRIBUTE_OR_IMPORT,
        r"`keras\.optimizers\.legacy` is not supported in Keras 3|"
        rf"module {_KERAS_3}\.optimizers' has no attribute 'legacy'|"
        rf"No module named {_KERAS_3}\.optimizers\.legacy",
        f"Keras 3 has no legacy optimizers. For tf.keras: {_SWITCH}; or take the optimizer of the same "
        "name from keras.optimizers.",
    ),
    Note(
        "AX161",
        _ATTRIBUTE,
        r"`tf\.compat\.v[12]\.keras` is not available with Keras 3",
        f"tf.compat.v1.keras is Keras 2 only: {_SWITCH}; or call the same function of tf.keras.",
    ),
    Note(
        "AX161",
        _ATTRIBUTE_OR_IMPORT,
        rf"module {_KERAS_3}\.backend' has no attribute '\w{{1,60}}'|"
        rf"cannot import name '\w{{1,60}}' from {_KERAS_3}\.backend'",
        "keras.backend of Keras 3 keeps only a few functions; sessions, placeholders and the learning phase "
        f"are gone. Use keras.ops and the training argument of call(); or, for tf.keras, {_SWITCH}.",
    ),
    Note(
        "AX162",
        _ATTRIBUTE_OR_IMPORT,
        r"(?:module 'tensorflow(?:\.compat\.v1)?' has no attribute '|No module named 'tensorflow\.)"
        r"(?:estimator|contrib)\b",
        "TensorFlow has no contrib since 2.0 and no estimator since 2.16. Rewrite it with Keras or "
        "tf.function; code that cannot change needs tensorflow<2.16 (estimator) or 1.15 (contrib).",
    ),
    Note(
        "AX162",
        _ATTRIBUTE,
        r"module 'tensorflow' has no attribute '(?:placeholder|Session|get_default_graph|"
        r"global_variables_initializer|set_random_seed|ConfigProto|app|flags|layers|get_variable|"
        r"variable_scope|reset_default_graph|to_float|log)'",
        "This is an interface of TensorFlow 1. tf.compat.v1 has it; `import tensorflow.compat.v1 as tf` "
        "followed by tf.disable_v2_behavior() runs most such programs.",
    ),
    Note(
        "AX163",
        _ATTRIBUTE_OR_IMPORT,
        rf"No module named {_KERAS_3}\.(?:src\.)?(?:engine|legacy\.interfaces|objectives|"
        r"saving\.hdf5_format|layers\.(?:core|normalization|convolutional|recurrent|merge|"
        r"advanced_activations|embeddings|pooling|wrappers)|optimizer_v[12]|initializers\.\w{1,60}_v\d|"
        r"utils\.(?:generic_utils|np_utils|vis_utils|layer_utils|data_utils|conv_utils|"
        r"multi_gpu_utils|training_utils|io_utils))\b|"
        r"cannot import name '(?:generic_utils|np_utils|vis_utils|layer_utils|data_utils|conv_utils|"
        rf"multi_gpu_model|hdf5_format)' from {_KERAS_3}",
        "The module is a private one of an older Keras and is gone. Take the public names (keras.layers, "
        "keras.models, keras.utils); a library that does this needs a newer release or an older Keras.",
    ),
    Note(
        "AX163",
        _IMPORT,
        r"cannot import name '\w{1,60}' from 'tensorflow\.python\.keras|"
        r"No module named 'tensorflow\.python\.keras",
        "tensorflow.python.keras is a private, old copy of Keras inside TensorFlow and fits no other Keras. "
        "Import from tensorflow.keras.",
    ),
    Note(
        "AX164",
        _ATTRIBUTE_OR_IMPORT,
        rf"module {_KERAS_3}(?:\.\w{{1,60}})?' has no attribute 'experimental'|"
        rf"No module named {_KERAS_3}\.(?:\w{{1,60}}\.)?experimental\b|"
        rf"cannot import name 'experimental' from {_KERAS_3}",
        "Keras 3 has no experimental modules. The preprocessing layers are in keras.layers, the optimizers "
        f"in keras.optimizers; or, for tf.keras, {_SWITCH}.",
    ),
    Note(
        "AX164",
        _ATTRIBUTE_OR_IMPORT,
        rf"No module named {_KERAS_3}\.(?:preprocessing\.text|wrappers|"
        r"datasets\.\w{1,60}_v\d)\b|"
        rf"module {_KERAS_3}\.preprocessing\.image' has no attribute 'ImageDataGenerator'|"
        r"cannot import name '(?:ImageDataGenerator|Tokenizer|CuDNNLSTM|CuDNNGRU|KerasClassifier|"
        rf"KerasRegressor)' from {_KERAS_3}",
        "Keras no longer has this where it was: TextVectorization replaces Tokenizer, "
        "keras.utils.image_dataset_from_directory and the Random layers replace ImageDataGenerator, LSTM and "
        "GRU use cuDNN by themselves, and the package scikeras has the wrappers for scikit-learn.",
    ),
    Note(
        "AX165",
        _VALUE_OR_TYPE,
        r"Argument\(s\) not recognized: \{'(?:lr|decay)'|"
        r"decay is deprecated in the new (?:TF-)?Keras optimizer",
        "The argument belongs to the optimizers of old. Write learning_rate for lr, and a schedule from "
        "optimizers.schedules for decay.",
    ),
    Note(
        "AX166",
        _ATTRIBUTE,
        r"'\w{1,99}' object has no attribute '(?:fit|evaluate|predict)_generator'|"
        r"'(?:Sequential|Functional|Model)' object has no attribute 'predict_(?:classes|proba)'",
        "fit, evaluate and predict take generators themselves; predict_classes is "
        "numpy.argmax(model.predict(x), axis=-1), or model.predict(x) > 0.5 for one sigmoid output.",
    ),
    Note(
        "AX167",
        _ATTRIBUTE_OR_IMPORT,
        rf"module {_KERAS_3}' has no attribute '__internal__'|"
        rf"No module named {_KERAS_3}\.__internal__",
        "tf.keras.__internal__ is Keras 2; a library built on it (tensorflow_probability before 0.24, "
        f"tensorflow_addons …) needs a newer release, or {_SWITCH}.",
    ),
    Note(
        "AX167",
        _ATTRIBUTE,
        r"module '(?:tensorflow\.keras|keras\._tf_keras\.keras)' has no attribute '(?:saving|src)'",
        "This release of Keras leaves the module out of tf.keras. Use the same name of `import keras`, for "
        "example keras.saving.",
    ),
    Note(
        "AX168",
        _IMPORT,
        r"No module named 'keras_core\b",
        "Keras Core was renamed to Keras 3: write `import keras`, with keras>=3 installed.",
    ),
    # --- AX17x: there is no Keras to be had
    Note(
        "AX170",
        _IMPORT,
        r"Keras cannot be imported\. Check that it is installed",
        "Keras is installed, but importing it failed: the package of the chosen backend is missing. Set "
        "KERAS_BACKEND=tensorflow (or the backend in keras.json), or install that package.",
        after=r"No module named '(?:torch|jax|jaxlib|openvino)\b",
    ),
    Note(
        "AX171",
        _IMPORT,
        r"Keras cannot be imported\. Check that it is installed",
        "tf.keras found no Keras. With TF_USE_LEGACY_KERAS set it wants tf_keras: pip install tf-keras, or "
        "unset the variable. Without it, `python -c 'import keras'` shows the real error.",
    ),
    Note(
        "AX172",
        ("ValueError", "ImportError", "RuntimeError"),
        r"installed version of Keras is Keras 3, but this is not yet supported in Transformers",
        "This release of transformers knows Keras 2 only. pip install tf-keras; or, if only PyTorch models "
        "are used, set USE_TF=0 before transformers is imported, so that it leaves TensorFlow alone.",
    ),
    Note(
        "AX173",
        ("ValueError", "ImportError"),
        r"requires? tf[-_]keras package|requires tf\.keras to be Keras version 2|"
        r"requires `?tf[-_]keras`?",
        "The library works on Keras 2 only. pip install tf-keras and set TF_USE_LEGACY_KERAS=1 before "
        "tensorflow is imported.",
    ),
    Note(
        "AX174",
        _VALUE,
        r"Unable to import backend : ",
        'KERAS_BACKEND, or "backend" in ~/.keras/keras.json, names a backend that Keras 3 does not have. '
        "It has tensorflow, jax, torch, numpy and openvino.",
    ),
    Note(
        "AX175",
        _IMPORT,
        r"No module named 'tf_keras\b",
        "Keras 2 is a package of its own since TensorFlow 2.16: pip install tf-keras, in the release of the "
        "installed TensorFlow.",
    ),
    Note(
        "AX176",
        _IMPORT,
        r"No module named '(?:tensorflow|torch|jax)'",
        "Keras 3 itself comes without a backend. Install tensorflow, or set KERAS_BACKEND to one that is "
        "installed (jax, torch) before keras is imported.",
        within="keras",
    ),
    Note(
        "AX179",
        ("_DeadlockError",),
        r"deadlock detected by _ModuleLock\('(?:tensorflow|keras|tf_keras)\b",
        _AT_ONCE,
    ),
    Note(
        "AX179",
        (*_ATTRIBUTE_OR_IMPORT, "KeyError"),
        r"partially initialized module '(?:tensorflow|keras|tf_keras)\b|"
        r"cannot access submodule '\w{1,99}' of module '(?:tensorflow|keras|tf_keras)\b|"
        r"module '(?:tensorflow\.python|(?:tf_)?keras\.src)[\w.]{0,200}' has no attribute|"
        r"No module named 'tensorflow\.|Registering two gradient with name",
        _AT_ONCE,
        threads=True,
    ),
    Note(
        "AX177",
        _ATTRIBUTE_OR_IMPORT,
        r"from partially initialized module 'keras\.src\.|"
        r"partially initialized module 'keras' has no attribute 'src'",
        "Keras was imported while it was still being imported, as happens when a TensorFlow plug-in imports "
        "it. Import tensorflow before keras.",
    ),
    Note(
        "AX178",
        _ATTRIBUTE,
        r"module '(?:keras|tensorflow)' has no attribute '(?:__version__|layers|models|constant|Variable)'",
        "This is not the package: a file or folder of that name stands first on sys.path, or an "
        "uninstallation left an empty folder. Print the module's __file__ and __path__, and rename or "
        "reinstall.",
    ),
    # --- AX18x: shared libraries and binary interfaces
    Note(
        "AX180",
        _PLUGIN,
        r"lib(?:imf|irng|intlc|svml|sycl|mkl_\w{1,40}|iomp5|ze_loader|OpenCL|ur_loader|umf|tbb|tcm)\.so"
        r"[\w.]{0,20}: cannot open shared object file",
        "Intel's plug-in for TensorFlow does not find the oneAPI libraries, and takes TensorFlow down with "
        "it. Load them before Python starts (source /opt/intel/oneapi/setvars.sh), or uninstall "
        "intel-extension-for-tensorflow.",
    ),
    Note(
        "AX181",
        _PLUGIN,
        r"tensorflow-plugins/[^\n:]{1,400}: ",
        "A plug-in in tensorflow-plugins cannot be loaded, and TensorFlow ends its own import for that. "
        "Reinstall the distribution that the file belongs to in the release that fits TensorFlow, or "
        "uninstall it.",
    ),
    Note(
        "AX182",
        ("ImportError", "AttributeError", "ValueError"),
        r"compiled using NumPy 1\.x cannot be run in|_ARRAY_API not found|"
        r"numpy\.core\.(?:multiarray|umath) failed to import|numpy\.(?:dtype|ndarray) size changed",
        "A compiled module was built for the other major release of NumPy. Install the numpy that the "
        "installed TensorFlow asks for (`pip check` tells), or newer builds of the module.",
    ),
    Note(
        "AX183",
        ("TypeError", "ImportError", "VersionError"),
        r"Descriptors cannot (?:not )?be created directly|Detected (?:incompatible|mismatched) Protobuf "
        r"Gencode/Runtime|cannot import name '(?:builder|runtime_version)' from 'google\.protobuf",
        "The installed protobuf does not fit the code that was generated for another release. Install the "
        "protobuf that TensorFlow asks for (`pip check` tells).",
    ),
    Note(
        "AX184",
        _PLUGIN,
        r"undefined symbol: _ZN\w{0,400}(?:tsl|tensorflow|absl)",
        "The library was compiled for another release of TensorFlow. For tensorflow-text, "
        "tensorflow-decision-forests and their like install the release with TensorFlow's own minor version.",
    ),
    Note(
        "AX185",
        _XLA,
        r"UR_RESULT_ERROR_\w{1,60}|Native API failed\. Native API returns",
        "The SYCL runtime found no driver that it can use. Install the Intel GPU driver, or uninstall "
        "intel-extension-for-tensorflow on machines without an Intel GPU.",
    ),
)


def find_note(error: BaseException) -> Note | None:
    """Return the first note that fits ``error``, None for an unknown one. Never raises.

    Of a long message, the first and last `SEARCHED` characters are looked at.
    """
    try:
        names = {cls.__name__ for cls in type(error).__mro__}
        candidates = [note for note in NOTES if not names.isdisjoint(note.types)]
        text = _message(error) if candidates else ""
        return next((note for note in candidates if _fits(note, error, text)), None)
    except Exception:  # noqa: BLE001 - a foreign exception's __str__ may raise anything
        return None


def _fits(note: Note, error: BaseException, text: str) -> bool:
    if re.search(note.pattern, text) is None:
        return False
    if note.threads and not FINDER.overlapped:
        return False
    if note.after and not _came_after(error, note.after):
        return False
    return not note.within or _is_within(error.__traceback__, note.within)


def _message(error: BaseException) -> str:
    text = str(error)
    return text if len(text) <= 2 * SEARCHED else f"{text[:SEARCHED]}\n{text[-SEARCHED:]}"


def _came_after(error: BaseException, pattern: str) -> bool:
    context = error.__cause__ or error.__context__
    return context is not None and re.search(pattern, _message(context)) is not None


def _is_within(trace: TracebackType | None, package: str) -> bool:
    """Return whether code of ``package`` (``keras`` stands for tf_keras, too) is on ``trace``."""
    packages = {package, "tf_keras"} if package == "keras" else {package}
    for _ in range(DEEPEST):
        if trace is None:
            return False
        name = trace.tb_frame.f_globals.get("__name__", "")
        if isinstance(name, str) and name.partition(".")[0] in packages:
            return True
        trace = trace.tb_next
    return False
