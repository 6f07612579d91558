"""Known errors, the codes of `autoxla.hooks.notes`: AX130 to AX185."""

from __future__ import annotations

from collections.abc import Mapping

from autoxla.guide.entry import Known

_FILES = "Keras 3 and tf_keras, saving and loading"
_XLA = "TensorFlow and XLA, errors of compilation"
_API = "Keras 3 and TensorFlow, public interfaces"
_IMPORT = "TensorFlow, the lazy loader of tf.keras; Keras 3, choice of the backend"
_LIBRARY = "The dynamic loader, NumPy and protobuf, checks of binary interfaces"

KNOWN: Mapping[str, Known] = {
    "AX130": Known(
        "A layer of Keras 2 in a Keras 3 model",
        "Keras 3 and tf_keras are two libraries with classes of the same names. A layer of one is an unknown "
        "object to the other, and the message shows two names that read alike. The usual origin is a library "
        "that builds on tf_keras, or one import line of another generation.",
        "keras.Sequential([tf_keras.layers.Dense(1)])",
        "ValueError: Only instances of `keras.Layer` can be added to a Sequential model. Received: "
        "<tf_keras.src.layers.core.dense.Dense object at 0x7f0> (of type "
        "<class 'tf_keras.src.layers.core.dense.Dense'>)",
    ),
    "AX133": Known(
        "A foreign layer in a Keras 2 model",
        "The model is of tf_keras and the layer is not. Behind `TF_USE_LEGACY_KERAS=1` that happens easily: "
        "`tf.keras` is Keras 2 then, while `import keras` still gives Keras 3.",
        "tf_keras.Sequential([keras.layers.Dense(1)])",
        "TypeError: The added layer must be an instance of class Layer. Received: layer=<Dense name=dense, "
        "built=False> of type <class 'keras.src.layers.core.dense.Dense'>.",
    ),
    "AX134": Known(
        "Optimizer or schedule of another generation",
        "An optimizer holds the variables of the model it trains, in the manner of its own generation, so no "
        "generation takes another's. The message prints the optimizer's class as if it were misspelt. A "
        "schedule goes further before it fails: it looks like a plain function.",
        'keras.Sequential([keras.layers.Dense(1)]).compile(tf_keras.optimizers.Adam(), "mse")',
        "ValueError: Could not interpret optimizer identifier: "
        "<tf_keras.src.optimizers.adam.Adam object at 0x7f0>",
    ),
    "AX135": Known(
        "A symbolic tensor of another generation",
        "`Input` and the tensors that come from it describe a model to the generation that made them. "
        "Layers and models of the other one find attributes missing on them, deep inside their own code, "
        "far from the line that mixed the two.",
        "keras.Model(tf_keras.Input((4,)), tf_keras.Input((4,)))",
        "ValueError: All `inputs` values must be KerasTensors. Received: inputs=KerasTensor(…) including "
        "invalid value KerasTensor(…) of type <class 'tf_keras.src.engine.keras_tensor.KerasTensor'>",
    ),
    "AX136": Known(
        "Metrics, callbacks or variables of Keras 3 in a Keras 2 model",
        "`compile` and `fit` of tf_keras take what they are given and ask it for things that only Keras 2 "
        "objects have. The error names an inner attribute, not the metric or callback that should have been "
        "imported from elsewhere.",
        "model.fit(x, y, callbacks=[keras.callbacks.EarlyStopping()])  # a tf_keras model",
        "AttributeError: 'EarlyStopping' object has no attribute '_implements_train_batch_hooks'",
    ),
    "AX137": Known(
        "A function for one generation, a model of the other",
        "Wrapping layers, savers, tuners and pruning tools check what they are given, and they check for "
        "their own generation. Their messages name the class they want, `keras.layers.Layer` or a Keras "
        "model, which is what the object seems to be.",
        "keras.layers.TimeDistributed(tf_keras.layers.Dense(1))",
        "ValueError: Please initialize `TimeDistributed` layer with a `keras.layers.Layer` instance. "
        "Received: <tf_keras.src.layers.core.dense.Dense object at 0x7f0>",
    ),
    "AX138": Known(
        "A TensorFlow function called on a symbolic tensor",
        "Keras 2 turned any TensorFlow function that met a symbolic tensor into a layer. Keras 3 does not, "
        "so models in the functional style that contain such calls stop working with TensorFlow 2.16, "
        "without a change to their code.",
        "import keras\nimport tensorflow as tf\n\ntf.reduce_sum(keras.Input((4,)))",
        "ValueError: A KerasTensor cannot be used as input to a TensorFlow function. A KerasTensor is a "
        "symbolic placeholder for a shape and dtype, used when constructing Keras Functional models.",
    ),
    "AX140": Known(
        "A SavedModel, or nothing at all, where Keras 3 wants a file",
        "Under Keras 2 a path without extension was a SavedModel folder. Keras 3 reads `.keras` and `.h5` "
        "files only, and says the same of a folder as of a path that does not exist.",
        'keras.models.load_model("my_model")',
        "ValueError: File format not supported: filepath=my_model. Keras 3 only supports V3 `.keras` files, "
        "legacy H5 format files (`.h5` extension).",
        _FILES,
    ),
    "AX141": Known(
        "A model of Keras 3, read by Keras 2",
        "Both generations write files with the same extensions, and each writes the configuration of layers "
        "with its own arguments. Keras 2 meets one that it does not know. Weights alone carry over, "
        "configurations do not.",
        'tf_keras.models.load_model("model.keras")  # saved by keras',
        "TypeError: Error when deserializing class 'InputLayer'. Exception encountered: Unrecognized keyword "
        "arguments: ['batch_shape']",
        _FILES,
    ),
    "AX142": Known(
        "Arguments that only Keras 2 layers have",
        "Keras 3 dropped some arguments of layers, and a configuration or a program of Keras 2 still passes "
        "them. A model from a file is best read by the generation that wrote it; in a program the argument "
        "usually does nothing today.",
        'keras.models.load_model("mobilenet.h5")  # saved by Keras 2',
        "TypeError: Error when deserializing class 'DepthwiseConv2D': Unrecognized keyword arguments passed "
        "to DepthwiseConv2D: {'groups': 1}",
        _FILES,
    ),
    "AX143": Known(
        "A loss or metric by its short name in an .h5 file",
        "An `.h5` file of a compiled model also holds its losses and metrics, by name. Keras 3 does not find "
        "functions by the short names of Keras 2. For inference they are not needed, and compiling anew "
        "restores them for training.",
        'keras.models.load_model("model.h5")  # compiled with loss="mse" under Keras 2',
        "TypeError: Could not deserialize 'keras.metrics.mse' because it is not a KerasSaveable subclass",
        _FILES,
    ),
    "AX144": Known(
        "Saving to a path without extension",
        "The extension decides the format now. A program that saved SavedModel folders under Keras 2 fails "
        "at its very last line, after the training.",
        'model.save("my_model")',
        "ValueError: Invalid filepath extension for saving. Please add either a `.keras` extension for the "
        "native Keras format or a `.h5` extension.",
        _FILES,
    ),
    "AX145": Known(
        "save_format with Keras 3",
        "The argument chose between formats that Keras 3 tells apart by the extension, and one of which it "
        "no longer writes with `save`. The error comes at the end of the training, so it is worth a look "
        "before.",
        'model.save("my_model", save_format="tf")',
        "ValueError: The `save_format` argument is deprecated in Keras 3. Please remove this argument and "
        "pass a file path with either `.keras` or `.h5` extension.",
        _FILES,
    ),
    "AX146": Known(
        "Weights in a file that Keras 3 does not write or read",
        "TensorFlow checkpoints of weights belong to Keras 2. Keras 3 insists on `.weights.h5`, also in the "
        "`ModelCheckpoint` callback, which then stops the training at the first checkpoint.",
        'model.save_weights("weights.h5")',
        "ValueError: The filename must end in `.weights.h5`. Received: filepath=weights.h5",
        _FILES,
    ),
    "AX147": Known(
        "A configuration of another generation",
        "`to_json` and `get_config` name classes and modules of the generation that wrote them. The other "
        "one does not look for them under these names, so it cannot even find `Sequential`.",
        "keras.models.model_from_json(model.to_json())  # model of tf_keras",
        "TypeError: Could not locate class 'Sequential'. Make sure custom classes are decorated with "
        "`@keras.saving.register_keras_serializable()`.",
        _FILES,
    ),
    "AX150": Known(
        "Operations that XLA cannot compile",
        "With `jit_compile` the whole training step goes through XLA, and one operation without an "
        "implementation there is enough to fail all of it: strings, lookup tables, Python functions. The "
        "error comes in `fit`, not in `compile`, under some seventy lines of other text.",
        'model.compile("adam", "mse", jit_compile=True)  # a model that reads strings\nmodel.fit(x, y)',
        "InvalidArgumentError: Graph execution error: Detected unsupported operations when trying to compile "
        "graph __inference_one_step_on_data_993[] on XLA_CPU_JIT: AsString",
        _XLA,
    ),
    "AX151": Known(
        "XLA and a variable on another device",
        "A compiled step runs on one device and cannot reach the variables of another. Under a strategy of "
        "several devices there are always some; Keras 3 therefore keeps compilation off there unless told "
        "otherwise.",
        'with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():\n'
        '    model.compile("adam", "mse", jit_compile=True)',
        "InvalidArgumentError: Trying to access resource dense/kernel/replica_1 located in device "
        "/job:localhost/replica:0/task:0/device:CPU:1 from device "
        "/job:localhost/replica:0/task:0/device:CPU:0",
        _XLA,
    ),
    "AX152": Known(
        "XLA without CUDA's libdevice",
        "XLA needs a file of the CUDA toolkit to compile for NVIDIA GPUs; the driver alone does not bring "
        "it. Keras compiles by default on a GPU, so programs that never heard of XLA meet this.",
        "model.fit(x, y)  # on a machine with an NVIDIA GPU",
        "InternalError: libdevice not found at ./libdevice.10.bc [Op:__some_xla_op]",
        _XLA,
    ),
    "AX153": Known(
        "cuDNN does not start",
        "cuDNN is loaded with the first convolution. If its release does not fit the framework, or another "
        "framework or program has taken the GPU's memory, it cannot set itself up, and the error tells "
        "neither.",
        "model.fit(x, y)  # while another process holds the GPU's memory",
        "RuntimeError: FAILED_PRECONDITION: DNN library initialization failed. Look at the errors above for "
        "more details.",
        _XLA,
    ),
    "AX154": Known(
        "XLA without ROCm's files",
        "For AMD GPUs XLA needs bitcode files and a linker of ROCm, and looks where `ROCM_PATH` and `PATH` "
        "point. In a terminal a profile script sets both; a program that was started by an editor or a "
        "service has neither.",
        "model.fit(x, y)  # started by an editor",
        "InternalError: bitcode module not found at ./opencl.bc",
        _XLA,
    ),
    "AX155": Known(
        "XLA on Metal",
        "There is no XLA compiler for Apple's GPUs. Keras 3 leaves compilation off there by itself, so "
        "something asked for it: `jit_compile=True`, or an optimizer of an older Keras that compiles its "
        "update.",
        'model.compile("adam", "mse", jit_compile=True)',
        "NotFoundError: could not find registered platform with id: 0x1056be9e0",
        _XLA,
    ),
    "AX156": Known(
        "XLA on an Intel GPU that has none",
        "The plug-in registers a compiler for its device only while its own XLA is on. With that off, or "
        "missing, Keras still compiles by default because it sees an accelerator.",
        "model.fit(x, y)  # with ITEX",
        "InvalidArgumentError: No JIT device registered for XPU",
        _XLA,
    ),
    "AX160": Known(
        "Legacy optimizers under Keras 3",
        "The optimizers of old were kept for programs that depend on their exact behaviour, and Keras 3 "
        "leaves them out. `python -m autoxla check` finds such lines before anything runs.",
        "tf.keras.optimizers.legacy.Adam(1e-3)",
        "ImportError: `keras.optimizers.legacy` is not supported in Keras 3. When using `tf.keras`, to "
        "continue using a `tf.keras.optimizers.legacy` optimizer, you can install the `tf_keras` package.",
        _API,
    ),
    "AX161": Known(
        "Sessions and other functions of the old backend module",
        "`keras.backend` once held the functions for all that Keras does. Keras 3 keeps a handful of them; "
        "sessions, placeholders and the learning phase have no meaning there.",
        "keras.backend.set_session(session)",
        "AttributeError: module 'keras.backend' has no attribute 'set_session'",
        _API,
    ),
    "AX162": Known(
        "Interfaces of TensorFlow 1",
        "Much code and many answers to be found date from TensorFlow 1. Part of that lives on in "
        "`tf.compat.v1`; `tf.contrib` and estimators are gone for good.",
        "import tensorflow as tf\n\ntf.estimator.DNNClassifier([8], [])",
        "AttributeError: module 'tensorflow' has no attribute 'estimator'",
        _API,
    ),
    "AX163": Known(
        "A private module of an older Keras",
        "The module was never public, and the layout of Keras changed several times since. In a library "
        "this means that it was written for one release of Keras; what it asked for usually has a public "
        "name that stays.",
        "from keras.layers.core import Dense",
        "ModuleNotFoundError: No module named 'keras.layers.core'",
        _API,
    ),
    "AX164": Known(
        "Something that Keras 3 has elsewhere, or nowhere",
        "Experimental modules were emptied into the stable ones, old preprocessing was replaced by layers, "
        "and the wrappers for scikit-learn moved to a package of their own. The error names the old place "
        "only.",
        "from keras.preprocessing.text import Tokenizer",
        "ModuleNotFoundError: No module named 'keras.preprocessing.text'",
        _API,
    ),
    "AX165": Known(
        "Arguments of the optimizers of old",
        "`lr` and `decay` were renamed or replaced years ago, and were still accepted for a long time. "
        "Keras 3 refuses `lr`; the optimizers of tf_keras refuse `decay`.",
        "keras.optimizers.Adam(lr=0.1)",
        "ValueError: Argument(s) not recognized: {'lr': 0.1}",
        _API,
    ),
    "AX166": Known(
        "Methods that models no longer have",
        "`fit_generator` and its like were merged into `fit`, `evaluate` and `predict`; `predict_classes` "
        "was taken out because its answer depended on the last layer's activation.",
        "model.fit_generator(batches)",
        "AttributeError: 'Sequential' object has no attribute 'fit_generator'",
        _API,
    ),
    "AX167": Known(
        "Names that tf.keras has in Keras 2 only",
        "Libraries reached into `tf.keras.__internal__` for lack of something public. In Keras 3 it does not "
        "exist, and some modules are left out of `tf.keras` by oversight, though `keras` has them.",
        "tf.keras.__internal__.layers",
        "AttributeError: module 'keras._tf_keras.keras' has no attribute '__internal__'",
        _API,
    ),
    "AX168": Known(
        "Keras Core",
        "The preview of Keras 3 was published as keras_core and went into Keras 3. Its package is not "
        "developed any more; the code runs under the new name.",
        "import keras_core",
        "ModuleNotFoundError: No module named 'keras_core'",
        _API,
    ),
    "AX170": Known(
        "Keras without its backend",
        "TensorFlow tries to import Keras, Keras tries to import the backend that is configured, and that "
        "fails. What is printed at the end speaks of Keras, which is installed; the real cause stands "
        "further up in the chain.",
        'import os\n\nos.environ["KERAS_BACKEND"] = "torch"\nimport tensorflow as '
        "tf\n\ntf.keras.Sequential()",
        "ImportError: Keras cannot be imported. Check that it is installed.",
        _IMPORT,
    ),
    "AX171": Known(
        "tf.keras finds no Keras",
        "The message stands for several causes, and TensorFlow swallows the error behind it. The commonest "
        "is `TF_USE_LEGACY_KERAS` in the environment without the package tf_keras.",
        "tf.keras.Sequential()  # TF_USE_LEGACY_KERAS=1, no tf_keras",
        "ImportError: Keras cannot be imported. Check that it is installed.",
        _IMPORT,
    ),
    "AX172": Known(
        "transformers and Keras 3",
        "The TensorFlow models of transformers were written for Keras 2, and the library checks that at its "
        "import, also in programs that only use PyTorch. Having TensorFlow installed is enough to meet this.",
        "from transformers import pipeline",
        "ValueError: Your currently installed version of Keras is Keras 3, but this is not yet supported in "
        "Transformers. Please install the backwards-compatible tf-keras package with `pip install tf-keras`.",
        "Hugging Face transformers, TensorFlow utilities",
    ),
    "AX173": Known(
        "A library that insists on Keras 2",
        "Some libraries look at the generation of `tf.keras` when they are imported and stop if it is not "
        "the one they were written for. Installing tf_keras is half of the cure; the switch, set before "
        "TensorFlow is imported, is the other.",
        "from deepface import DeepFace",
        "ValueError: You have tensorflow 2.21.0 and this requires tf-keras package. Please run `pip install "
        "tf-keras` or downgrade your tensorflow.",
        _IMPORT,
    ),
    "AX174": Known(
        "A backend that Keras 3 does not have",
        "The name comes from a variable or from a file in the home directory that an old Keras wrote; theano "
        "and cntk were backends then. As TensorFlow imports Keras, `import tensorflow` fails as well.",
        'import tensorflow  # ~/.keras/keras.json: {"backend": "theano"}',
        "ValueError: Unable to import backend : theano",
        _IMPORT,
    ),
    "AX175": Known(
        "tf_keras is not installed",
        "Up to TensorFlow 2.15 Keras 2 came with TensorFlow. Since then it is a package of its own, whose "
        "release follows TensorFlow's; a program or library that imports it has to have it installed.",
        "import tf_keras",
        "ModuleNotFoundError: No module named 'tf_keras'",
        _IMPORT,
    ),
    "AX176": Known(
        "Keras without any backend",
        "`pip install keras` installs Keras 3 without a backend, and its default is TensorFlow. The error "
        "names tensorflow although the program may never have meant to use it.",
        "import keras",
        "ModuleNotFoundError: No module named 'tensorflow'",
        _IMPORT,
    ),
    "AX177": Known(
        "Keras imported inside its own import",
        "Keras imports TensorFlow, TensorFlow loads its plug-ins, and a plug-in imports Keras, which is not "
        "ready yet. The order of two import lines decides whether that happens.",
        "import keras  # with a plug-in that imports Keras",
        "AttributeError: partially initialized module 'keras' has no attribute 'src' (most likely due to a "
        "circular import)",
        _IMPORT,
    ),
    "AX178": Known(
        "Another module of that name",
        "A file `keras.py` next to the script, or an empty folder that an uninstallation left behind, is "
        "found before the package. Python imports it without complaint, and the first use fails.",
        "import keras  # a file keras.py lies next to the script\n\nkeras.layers.Dense(1)",
        "AttributeError: module 'keras' has no attribute 'layers'",
        _IMPORT,
    ),
    "AX179": Known(
        "TensorFlow and Keras imported by several threads at once",
        "TensorFlow imports Keras and Keras imports TensorFlow. In one thread the import system knows what "
        "is under way; two threads that begin at both ends wait for each other, and one of them goes on with "
        "half a package. It depends on timing which error that is, and whether there is one.",
        "import threading\n\nfor name in ('keras', 'tensorflow'):\n"
        "    threading.Thread(target=__import__, args=(name,)).start()",
        "_DeadlockError: deadlock detected by _ModuleLock('keras.src') at 140234",
        _IMPORT,
    ),
    "AX180": Known(
        "oneAPI's libraries are not found",
        "Intel's plug-in links against libraries of oneAPI that are not part of its wheel. The dynamic "
        "loader looks for them when TensorFlow loads the plug-in, and TensorFlow passes the failure on: "
        "every program of that environment fails, also those that need no GPU.",
        "import tensorflow",
        "NotFoundError: libimf.so: cannot open shared object file: No such file or directory",
        _LIBRARY,
    ),
    "AX181": Known(
        "A plug-in that cannot be loaded",
        "TensorFlow loads every library in the folder `tensorflow-plugins`, and one that cannot be loaded "
        "ends the import of TensorFlow. Typical causes are a plug-in for another release, or half an "
        "installation.",
        "import tensorflow",
        "NotFoundError: /venv/lib/python3.11/site-packages/tensorflow-plugins/libitex_cpu.so: undefined "
        "symbol: TF_SetOpKernel",
        _LIBRARY,
    ),
    "AX182": Known(
        "Compiled for another NumPy",
        "NumPy 2 changed its binary interface. A module that was compiled for NumPy 1 does not work with "
        "it, and the other way round; which of them has to move depends on what the installed TensorFlow "
        "asks for.",
        "import tensorflow",
        "ImportError: numpy.core.multiarray failed to import",
        _LIBRARY,
    ),
    "AX183": Known(
        "protobuf of another release",
        "TensorFlow and many other packages contain code that protobuf generated, and that code only works "
        "with certain releases of the runtime. The last package that was installed has moved protobuf out "
        "of the range.",
        "import tensorflow",
        "TypeError: Descriptors cannot be created directly. If this call came from a _pb2.py file, your "
        "generated code is out of date.",
        _LIBRARY,
    ),
    "AX184": Known(
        "A library for another TensorFlow",
        "Packages with TensorFlow operations of their own are compiled against one minor release of "
        "TensorFlow, whose C++ symbols change with the next. The name of the missing symbol tells as much, "
        "in a form that is hard to read.",
        "import tensorflow_text",
        "NotFoundError: libtensorflow_text.so: undefined symbol: _ZN3tsl5mutexC1Ev",
        _LIBRARY,
    ),
    "AX185": Known(
        "SYCL without a driver",
        "Intel's plug-in asks the SYCL runtime for devices while TensorFlow is imported. Without a driver "
        "that the runtime can use the plug-in fails, and `import tensorflow` with it.",
        "import tensorflow",
        "RuntimeError: Native API failed. Native API returns: 4 (UR_RESULT_ERROR_INVALID_VALUE)",
        _LIBRARY,
    ),
}
