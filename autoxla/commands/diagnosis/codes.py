"""What each code of ``doctor`` means. What the rules find has the codes of the rules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One code: its `title`, `why` it matters, an `example` of its message, the `remedy`, the `source`."""

    title: str
    why: str
    example: str
    remedy: str
    source: str


_NOTHING = "nothing to do"
_PIP = "pip, installed distributions and their RECORD"
_LOADER = "TensorFlow, loading of pluggable device libraries"
_LD_SO = "Linux manual pages, ld.so(8)"
_IMPORT = "Python, the import system"
_FLAGS = "XLA, flags from the environment"
_METADATA = "Python packaging, core metadata: Requires-Dist"
_SELF = "autoxla, doctor"

CODES: dict[str, Entry] = {
    "AX801": Entry(
        "An installed release",
        "The releases are what most other results depend on.",
        "tensorflow 2.21.0, from tensorflow-cpu",
        _NOTHING,
        _METADATA,
    ),
    "AX802": Entry(
        "TensorFlow is not installed",
        "Programs of Keras 3 may run on another backend; those that import tensorflow do not start.",
        "tensorflow is not installed",
        "pip install tensorflow, if programs here are to use it",
        _METADATA,
    ),
    "AX803": Entry(
        "Which Keras tf.keras is",
        "From TensorFlow 2.16 on tf.keras is Keras 3, unless TF_USE_LEGACY_KERAS is exactly 1, true or True.",
        "tf.keras is Keras 3 (3.15.1): TF_USE_LEGACY_KERAS is not set",
        _NOTHING,
        "TensorFlow, the lazy loader of tf.keras",
    ),
    "AX810": Entry(
        "Each package belongs to one distribution",
        "Nothing is installed twice, in part, or left behind.",
        "each package belongs to one distribution",
        _NOTHING,
        _PIP,
    ),
    "AX811": Entry(
        "Two distributions own the same files, in one release",
        "tensorflow and tensorflow-cpu install the same folder. In one release that works, until one of them "
        "is uninstalled and takes the files of the other with it.",
        "tensorflow 2.21.0 and tensorflow-cpu 2.21.0 own the same files of tensorflow, in one release",
        "keep both, or uninstall both and install the one that is meant",
        _PIP,
    ),
    "AX812": Entry(
        "Two distributions own the same files, in different releases",
        "What was installed last overwrote a part of the other: modules of one release then load "
        "libraries of another.",
        "tensorflow 2.16.1 and tensorflow-cpu 2.15.0 own the same files of tensorflow",
        "uninstall both, then install the one that is meant",
        _PIP,
    ),
    "AX813": Entry(
        "A distribution is installed several times",
        "Python imports the one that comes first on the path; tools may tell the release of another.",
        "keras is installed 2 times: 3.15.1 in /env/site-packages, 2.15.0 in /home/you/.local/site-packages",
        "uninstall it until none is found, then install it again",
        _PIP,
    ),
    "AX814": Entry(
        "Metadata that cannot be read",
        "pip and every tool that asks for a release takes the distribution for absent, or fails.",
        "/env/site-packages/keras-3.15.1.dist-info holds no readable metadata",
        "remove the folder, and install the distribution again",
        _PIP,
    ),
    "AX815": Entry(
        "A distribution without its files",
        "The metadata says that it is installed, and its package is not there: somebody uninstalled another "
        "distribution that had the same files.",
        "tensorflow 2.21.0 lists tensorflow/__init__.py as its own, and it is not there",
        "pip install --force-reinstall --no-deps tensorflow==2.21.0",
        _PIP,
    ),
    "AX816": Entry(
        "A leftover of pip",
        "pip renames what it takes away to a name with a tilde; an interrupted run leaves it behind.",
        "/env/site-packages/~ensorflow is what an interrupted pip left behind",
        "remove the folder",
        _PIP,
    ),
    "AX817": Entry(
        "A package without a distribution",
        "Its release is not known, so that nothing can be told of what it needs.",
        "/env/site-packages/tensorflow belongs to no distribution",
        "nothing if you built it; else install it again",
        _PIP,
    ),
    "AX818": Entry(
        "A leftover folder that imports as an empty package",
        "A folder without __init__.py is a namespace package: its import succeeds, and it is empty.",
        "/env/site-packages/keras is a leftover without __init__.py: import keras gives an empty package",
        "remove the folder, and install the package",
        _IMPORT,
    ),
    "AX820": Entry(
        "Nothing is shadowed",
        "No file beside the program has the name of a package that it needs.",
        "nothing in /home/you takes the place of a package",
        _NOTHING,
        _IMPORT,
    ),
    "AX821": Entry(
        "A file takes the place of a package",
        "Python looks into the program's folder, and into PYTHONPATH, before it looks into site-packages.",
        "import keras gives /home/you/keras.py, not the package",
        "rename the file",
        _IMPORT,
    ),
    "AX822": Entry(
        "A file in the current folder has a package's name",
        "The script is elsewhere and does not see it; what starts here with -m or -c, and notebooks, do.",
        "/home/you/keras.py takes the place of keras in programs that start here with -m or -c, or in "
        "notebooks",
        "rename the file",
        _IMPORT,
    ),
    "AX823": Entry(
        "A file takes the place of a module of Python",
        "TensorFlow and what it needs import many of Python's modules, and then find this file.",
        "/home/you/code.py takes the place of Python's own module code",
        "rename the file",
        _IMPORT,
    ),
    "AX830": Entry(
        "The Keras backend",
        "It is chosen by KERAS_BACKEND, else by keras.json, else it is tensorflow.",
        "tensorflow, installed; chosen by default",
        _NOTHING,
        "Keras 3: A new multi-backend Keras, Configuring your backend",
    ),
    "AX831": Entry(
        "keras.json cannot be read",
        "Keras takes a file that is no JSON for an empty one, and says nothing.",
        "/home/you/.keras/keras.json: it is not JSON",
        "correct or remove the file",
        "Keras 3, reading of keras.json",
    ),
    "AX832": Entry(
        "keras.json holds no JSON object",
        "Keras asks it for its keys: import keras raises AttributeError.",
        "/home/you/.keras/keras.json holds no JSON object: import keras raises AttributeError",
        "correct or remove the file",
        "Keras 3, reading of keras.json",
    ),
    "AX833": Entry(
        "The backend is not installed",
        "tf.keras then says only that Keras cannot be imported, and import keras raises ModuleNotFoundError.",
        "the backend torch, chosen by KERAS_BACKEND, is not installed: keras cannot be imported",
        "install its package, or choose a backend that is installed",
        "Keras 3: A new multi-backend Keras, Configuring your backend",
    ),
    "AX834": Entry(
        "keras.json changes what all programs compute",
        "Its fields hold for every program of this user, and nothing in the program shows them.",
        "/home/you/.keras/keras.json: floatx is 'float64': all layers compute in float64, slower and "
        "with twice the memory",
        "set the field to its usual value; choose another one in the program, with keras.config",
        "Keras 3, reading of keras.json",
    ),
    "AX835": Entry(
        "A field of keras.json that Keras refuses",
        "Keras checks floatx, epsilon and image_data_format when it is imported, and raises an error.",
        "/home/you/.keras/keras.json: floatx is 'bfloat16', and Keras takes only float16 or float32 or "
        "float64: import keras fails",
        "correct or remove the field",
        "Keras 3, reading of keras.json",
    ),
    "AX840": Entry(
        "A variable that is set",
        "Each variable is read by another library, at its own moment. Set later it has no effect.",
        "XLA_FLAGS='--xla_dump_to=/tmp/x' is read by XLA, when it first compiles, once",
        _NOTHING,
        "TensorFlow, Keras, XLA and ITEX, as they were seen to read it",
    ),
    "AX841": Entry(
        "A plug-in that is named and not there",
        "TensorFlow loads what this variable names, and raises OSError where there is nothing.",
        "TF_PLUGGABLE_DEVICE_LIBRARY_PATH='/opt/x.so' is neither file nor folder: import tensorflow fails",
        "unset the variable, or correct it",
        _LOADER,
    ),
    "AX850": Entry(
        "Flags that this build knows",
        "The names were found in the installed libraries.",
        "this build knows tf_xla_auto_jit of TF_XLA_FLAGS",
        _NOTHING,
        _FLAGS,
    ),
    "AX860": Entry(
        "Accelerators",
        "They are told by the files of the system; no driver is asked.",
        "accelerators: cuda",
        _NOTHING,
        _SELF,
    ),
    "AX861": Entry(
        "What XLA needs for a GPU is there",
        "XLA needs libdevice or ROCm's bitcode, and ptxas.",
        "ptxas is /usr/local/cuda/bin/ptxas",
        _NOTHING,
        "XLA, search for libdevice and ptxas",
    ),
    "AX862": Entry(
        "ptxas was not found",
        "XLA calls it to compile for NVIDIA's GPUs. Without it the driver has to compile, in releases that "
        "allow it.",
        "ptxas is on no path",
        "pip install nvidia-cuda-nvcc-cu12, or put CUDA's bin on PATH",
        "XLA, search for libdevice and ptxas",
    ),
    "AX870": Entry(
        "Plug-ins of TensorFlow",
        "import tensorflow loads each library in tensorflow-plugins. The system's loader was asked what "
        "they need, and found it.",
        "/env/site-packages/tensorflow-plugins/libitex_gpu.so finds all the libraries that it needs",
        _NOTHING,
        _LOADER,
    ),
    "AX871": Entry(
        "A plug-in misses a library",
        "A plug-in that cannot be loaded takes TensorFlow down: import tensorflow raises NotFoundError.",
        "libimf.so, which /env/site-packages/tensorflow-plugins/libitex_gpu.so needs, is not found: "
        "import tensorflow fails",
        "source oneAPI's setvars.sh before Python starts, or install what brings the library",
        _LD_SO,
    ),
    "AX872": Entry(
        "A plug-in that is no shared library",
        "TensorFlow loads every file there that is called as a library.",
        "/env/site-packages/tensorflow-plugins/libx.so is no shared library (file too short): import "
        "tensorflow fails with it",
        "reinstall what it belongs to, or remove it",
        _LOADER,
    ),
    "AX873": Entry(
        "A plug-in that the loader refuses",
        "It is for another processor or a newer system, it is damaged, or the file system allows no code. "
        "The loader was asked, and nothing of the plug-in was run.",
        "libx.so needs GLIBC_2.38, which /lib/libc.so.6 does not have: import tensorflow fails",
        "install the release of the plug-in for this system",
        _LD_SO,
    ),
    "AX874": Entry(
        "The loader could not be asked about a plug-in",
        "Its process did not start, did not end in time, or gave no list.",
        "whether libx.so can be loaded is not known: the loader lists nothing",
        "python -m autoxla doctor --import-check",
        _SELF,
    ),
    "AX880": Entry(
        "The distributions fit each other",
        "What TensorFlow, Keras and their dependencies require of each other is installed.",
        "what is installed fits what TensorFlow and Keras ask for",
        _NOTHING,
        _METADATA,
    ),
    "AX881": Entry(
        "A requirement is not installed",
        "It is an error where import tensorflow needs it at once, and for Keras where the program uses it; "
        "else it is a warning.",
        "tensorflow 2.21.0 requires wrapt>=1.11.0, which is not installed",
        "install it",
        _METADATA,
    ),
    "AX882": Entry(
        "A requirement is installed in a release that does not fit",
        "It is an error where TensorFlow is known to fail with it: NumPy 2 where it asks for NumPy 1, a "
        "protobuf or an ml-dtypes older than it asks for, Keras 2 where tf.keras is Keras 3 and the "
        "program uses it. Else it is a warning, since many bounds are only cautious.",
        "tensorflow 2.16.1 requires numpy<2.0.0,>=1.23.5, and 2.1.0 is installed",
        "install a release that fits",
        _METADATA,
    ),
    "AX883": Entry(
        "Requirements were not compared",
        "Only the package packaging can compare releases.",
        "what the distributions require of each other was not compared: packaging is not installed",
        "pip install 'autoxla-runtime[cli]'",
        _SELF,
    ),
    "AX884": Entry(
        "tensorflow-text of another release",
        "Its operations are compiled against one minor release of TensorFlow; in another its import fails on "
        "an undefined symbol.",
        "tensorflow-text 2.15.0 was compiled for another release than TensorFlow 2.16.1: its import fails",
        "install the release with TensorFlow's own minor number",
        "TensorFlow Text, installation",
    ),
    "AX885": Entry(
        "tf_keras of another release",
        "tf_keras uses TensorFlow's inner modules, which change from one minor release to the next: it is "
        "imported, if at all, only beside the TensorFlow with its own major and minor number.",
        "tf-keras 2.15.0 is not the one for TensorFlow 2.21.0: tf_keras fails in its import or later",
        "pip install 'tf-keras==2.21.*'",
        "tf_keras, installation",
    ),
    "AX890": Entry(
        "Records of autoxla",
        "What earlier runs taught, and where it is kept.",
        "records in /home/you/.cache/autoxla: 2 decisions, 3 programs, 3 learned",
        _NOTHING,
        "autoxla, records",
    ),
    "AX891": Entry(
        "Whether autoxla is active",
        "An interpreter that was started for it tells whether new interpreters of this environment run "
        "autoxla.",
        "not active in new interpreters of this environment: it is not enabled",
        _NOTHING,
        "autoxla, site",
    ),
    "AX892": Entry(
        "The start file is another release's",
        "An older autoxla.pth, or one that was edited, may not activate this autoxla.",
        "/env/site-packages/autoxla.pth is not the one of this release",
        "pip install --force-reinstall --no-deps autoxla-runtime",
        "autoxla, site",
    ),
    "AX893": Entry(
        "The import works",
        "doctor tried it in a process of its own.",
        "import tensorflow works",
        _NOTHING,
        _SELF,
    ),
    "AX894": Entry(
        "The import fails",
        "doctor tried it in a process of its own, which raised an error, died of a signal, or ended by "
        "itself.",
        "tensorflow: NotFoundError: libimf.so: cannot open shared object file",
        "what the message asks for",
        _SELF,
    ),
    "AX895": Entry(
        "The import takes too long",
        "doctor tried it in a process of its own, which was not done within the limit.",
        "import tensorflow took more than 60 seconds",
        "try again with a longer --timeout",
        _SELF,
    ),
    "AX897": Entry(
        "A setting of autoxla is not valid",
        "autoxla leaves programs alone until it is corrected.",
        "environment: AUTOXLA='fast' is no mode",
        "correct it where it stands",
        "autoxla, settings",
    ),
    "AX898": Entry(
        "A check that failed",
        "The check itself has a fault. That says nothing of the environment.",
        "this was not looked at: OSError: …",
        "AUTOXLA_DEBUG=1 shows the traceback",
        _SELF,
    ),
    "AX899": Entry(
        "No rule found anything",
        "They are the rules whose findings python -m autoxla explain shows.",
        "no rule found anything",
        _NOTHING,
        _SELF,
    ),
}
