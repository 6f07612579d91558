"""Try packages on Keras in a real environment: ``python trials.py PYTHON FOLDER [NAME...] > tried.json``.

PYTHON is an environment's interpreter with TensorFlow, Keras 3 and tf_keras. Each trial has its packages in a
folder of their own below FOLDER, without their requirements, so that none moves TensorFlow. Its program runs
plainly and with ``TF_USE_LEGACY_KERAS=1``; ``lives`` is status 0 and its last line ``done``.

`autoxla/policies/packages.py` and the table in docs/packages.md follow what came of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

#: In front of each program.
HEAD = """
import numpy as np
import tensorflow as tf

x, y = np.zeros((8, 4), "float32"), np.zeros((8, 1), "float32")
L = tf.keras.layers

def fit(model, x=x, y=y, optimizer="sgd", loss="mse"):
    model.compile(optimizer, loss)
    model.fit(x, y, verbose=0)

def stack(*layers, shape=(4,), **options):
    fit(tf.keras.Sequential([tf.keras.Input(shape), *layers]), **options)
"""
_SM = "segmentation_models==1.0.1 efficientnet==1.0.0 image-classifiers==1.0.0 keras-applications==1.0.8"
_TFM = "gin-config sentencepiece pycocotools opencv-python-headless pyyaml seqeval sacrebleu immutabledict tf-slim"
_SKLEARN = "scikit-learn joblib threadpoolctl scipy"
_HUB = "keras-hub==0.30.0 tokenizers kagglehub kagglesdk tqdm pyyaml regex"

#: What is installed, the variables of the program, and its lines.
TRIALS: dict[str, tuple[str, dict[str, str], str]] = {
    "qkeras": (
        f"qkeras==0.9.0 pyparser pyparsing parse networkx tensorflow-model-optimization==0.8.0 keras-tuner==1.4.7 kt-legacy {_SKLEARN}",
        {},
        "import qkeras; stack(qkeras.QDense(1, kernel_quantizer=qkeras.quantized_bits(4, 0, 1)))",
    ),
    "deepctr": (
        "deepctr==0.9.3",
        {},
        "from deepctr.feature_column import SparseFeat\nfrom deepctr.models import DeepFM\n"
        "c = [SparseFeat('a', 3, 4), SparseFeat('b', 3, 4)]\n"
        "fit(DeepFM(c, c, dnn_hidden_units=(4,)), {'a': np.zeros(8), 'b': np.ones(8)}, np.zeros(8))",
    ),
    "deepctr new": (
        "deepctr==0.9.4",
        {},
        "from deepctr.feature_column import SparseFeat\nfrom deepctr.models import DeepFM\n"
        "c = [SparseFeat('a', 3, 4), SparseFeat('b', 3, 4)]\n"
        "fit(DeepFM(c, c, dnn_hidden_units=(4,)), {'a': np.zeros(8), 'b': np.ones(8)}, np.zeros(8))",
    ),
    "tf2onnx": (
        "tf2onnx==1.17.0 onnx protobuf==6.33.0",
        {},
        "import tf2onnx\nm = tf.keras.Sequential([tf.keras.Input((4,)), L.Dense(1)])\n"
        "print(len(tf2onnx.convert.from_keras(m, opset=13)[0].graph.node))",
    ),
    "tf2onnx old": (
        "tf2onnx==1.16.1 onnx protobuf==6.33.0",
        {},
        "import tf2onnx\nm = tf.keras.Sequential([tf.keras.Input((4,)), L.Dense(1)])\n"
        "print(len(tf2onnx.convert.from_keras(m, opset=13)[0].graph.node))",
    ),
    "keras-rl2": (
        "keras-rl2==1.0.5",
        {},
        "from rl.agents import DQNAgent\nfrom rl.memory import SequentialMemory\nfrom rl.policy import EpsGreedyQPolicy\n"
        "m = tf.keras.Sequential([tf.keras.Input((1, 4)), L.Flatten(), L.Dense(2)])\n"
        "d = DQNAgent(model=m, nb_actions=2, memory=SequentialMemory(limit=9, window_length=1), policy=EpsGreedyQPolicy())\n"
        "d.compile(tf.keras.optimizers.Adam())",
    ),
    "segmentation_models": (
        f"{_SM} scikit-image lazy-loader networkx imageio tifffile {_SKLEARN}",
        {},
        "import segmentation_models as sm; m = sm.Unet('resnet18', encoder_weights=None, input_shape=(32, 32, 3))\nprint(m.count_params())",
    ),
    "segmentation_models SM_FRAMEWORK": (
        f"{_SM} scikit-image lazy-loader networkx imageio tifffile {_SKLEARN}",
        {"SM_FRAMEWORK": "tf.keras"},
        "import segmentation_models as sm; m = sm.Unet('resnet18', encoder_weights=None, input_shape=(32, 32, 3))\nprint(m.count_params())",
    ),
    "keras-tuner": (
        "keras-tuner==1.4.8 kt-legacy",
        {},
        "import keras_tuner\ndef build(hp):\n"
        "    m = tf.keras.Sequential([tf.keras.Input((4,)), L.Dense(hp.Int('n', 1, 2)), L.Dense(1)])\n"
        "    m.compile('sgd', 'mse')\n    return m\n"
        "t = keras_tuner.RandomSearch(build, objective='loss', max_trials=1, overwrite=True, directory='tuned')\n"
        "t.search(x, y, verbose=0)",
    ),
    "autokeras": (
        f"autokeras==3.0.0 keras-tuner==1.4.8 kt-legacy dm-tree tensorflow-text==2.21.1 {_HUB}",
        {},
        "import autokeras as ak\nr = ak.StructuredDataRegressor if hasattr(ak, 'StructuredDataRegressor') else ak.AutoModel\n"
        "m = ak.AutoModel(ak.Input(), ak.RegressionHead(), max_trials=1, overwrite=True)\nm.fit(x, y, epochs=1, verbose=0)",
    ),
    "tensorflow-hub": (
        "tensorflow-hub==0.16.1",
        {},
        "import tensorflow_hub as hub\nclass M(tf.Module):\n"
        "    @tf.function(input_signature=[tf.TensorSpec([None, 4])])\n    def __call__(self, x): return x * 2\n"
        "tf.saved_model.save(M(), 'hubbed')\nstack(hub.KerasLayer('hubbed'), L.Dense(1))",
    ),
    "tensorflow-hub old": (
        "tensorflow-hub==0.15.0",
        {},
        "import tensorflow_hub as hub\nclass M(tf.Module):\n"
        "    @tf.function(input_signature=[tf.TensorSpec([None, 4])])\n    def __call__(self, x): return x * 2\n"
        "tf.saved_model.save(M(), 'hubbed')\nstack(hub.KerasLayer('hubbed'), L.Dense(1))",
    ),
    "tensorflow-probability": (
        "tensorflow-probability==0.25.0 decorator cloudpickle dm-tree",
        {},
        "import tensorflow_probability as tfp; stack(tfp.layers.DenseReparameterization(1))",
    ),
    "tensorflow-probability old": (
        "tensorflow-probability==0.23.0 decorator cloudpickle dm-tree",
        {},
        "import tensorflow_probability as tfp; stack(tfp.layers.DenseReparameterization(1))",
    ),
    "tensorflow-addons": ("tensorflow-addons==0.23.0 typeguard==2.13.3", {}, "import tensorflow_addons as tfa; stack(tfa.layers.WeightNormalization(L.Dense(1)), optimizer=tfa.optimizers.AdamW(1e-4))"),
    "tf-models-official": (
        f"tf-models-official==2.20.0 tensorflow-hub==0.16.1 tensorflow-model-optimization==0.8.0 {_TFM}",
        {},
        "from official.nlp.modeling.layers import TransformerEncoderBlock\n"
        "stack(TransformerEncoderBlock(1, 4, 'relu'), L.Dense(1), shape=(3, 4), x=np.zeros((8, 3, 4), 'float32'), y=np.zeros((8, 3, 1), 'float32'))",
    ),
    "keras-cv": (
        "keras-cv==0.9.0 keras-core==0.1.7 tensorflow-datasets kagglehub kagglesdk regex tqdm pyyaml promise toml array-record etils immutabledict tensorflow-metadata pyarrow simple-parsing docstring-parser fsspec zipp importlib-resources dm-tree",
        {},
        "import keras_cv\nfit(tf.keras.Sequential([tf.keras.Input((4, 4, 3)), keras_cv.layers.RandomChannelShift((0, 255), 0.1), L.Flatten(), L.Dense(1)]), np.zeros((8, 4, 4, 3), 'float32'))",
    ),
    "keras-nlp": (f"keras-nlp==0.30.0 {_HUB} tensorflow-text==2.21.1", {}, "import keras_nlp\nstack(keras_nlp.layers.TransformerEncoder(4, 1), L.Dense(1), shape=(3, 4), x=np.zeros((8, 3, 4), 'float32'), y=np.zeros((8, 3, 1), 'float32'))"),
    "keras-hub": (f"{_HUB} tensorflow-text==2.21.1", {}, "import keras_hub\nstack(keras_hub.layers.TransformerEncoder(4, 1), L.Dense(1), shape=(3, 4), x=np.zeros((8, 3, 4), 'float32'), y=np.zeros((8, 3, 1), 'float32'))"),
    "tensorflow-recommenders": (
        "tensorflow-recommenders==0.7.7",
        {},
        "import tensorflow_recommenders as tfrs\nclass M(tfrs.Model):\n"
        "    def __init__(self):\n        super().__init__()\n        self.d = L.Dense(1)\n"
        "        self.task = tfrs.tasks.Ranking(loss=tf.keras.losses.MeanSquaredError(), metrics=[tf.keras.metrics.RootMeanSquaredError()])\n"
        "    def compute_loss(self, inputs, training=False):\n        a, b = inputs\n        return self.task(labels=b, predictions=self.d(a))\n"
        "m = M(); m.compile(optimizer=tf.keras.optimizers.Adagrad(0.1)); m.fit(x, y, verbose=0)",
    ),
    "tensorflow-text": ("tensorflow-text==2.21.1", {}, "import tensorflow_text as text\nprint(text.WhitespaceTokenizer().tokenize(['a b']))\nstack(L.Dense(1))"),
    "tensorflow-decision-forests": ("tensorflow-decision-forests==1.12.0 ydf pandas pytz python-dateutil wurlitzer", {}, "import tensorflow_decision_forests as tfdf\nm = tfdf.keras.RandomForestModel()"),
    "tensorflowjs": ("tensorflowjs==4.22.0 tensorflow-hub==0.16.1 tensorflow-decision-forests==1.12.0 ydf jax jaxlib flax importlib-resources pandas pytz python-dateutil wurlitzer", {}, "import tensorflowjs as tfjs\nm = tf.keras.Sequential([tf.keras.Input((4,)), L.Dense(1)])\ntfjs.converters.save_keras_model(m, 'js')"),
    "spektral": (
        f"spektral==1.3.1 networkx pandas pytz python-dateutil tqdm lxml {_SKLEARN}",
        {},
        "import spektral\nclass M(tf.keras.Model):\n    def __init__(self):\n        super().__init__()\n        self.g = spektral.layers.GCNConv(1)\n"
        "    def call(self, i): return self.g(i)\nfit(M(), [x, np.eye(8, dtype='float32')], y) if 0 else None\n"
        "a, b = tf.keras.Input((4,)), tf.keras.Input((8,))\nm = tf.keras.Model([a, b], spektral.layers.GCNConv(1)([a, b]))\n"
        "m.compile('sgd', 'mse'); m.fit([x, np.eye(8, dtype='float32')], y, batch_size=8, verbose=0)",
    ),
    "scikeras": (
        f"scikeras==0.13.0 {_SKLEARN}",
        {},
        "from scikeras.wrappers import KerasRegressor\ndef build(): return tf.keras.Sequential([tf.keras.Input((4,)), L.Dense(1)])\n"
        "KerasRegressor(build, loss='mse', optimizer='sgd', verbose=0).fit(x, y)",
    ),
    "scikeras old": (
        "scikeras==0.12.0 scikit-learn==1.5.2 joblib threadpoolctl scipy packaging",
        {},
        "from scikeras.wrappers import KerasRegressor\ndef build(): return tf.keras.Sequential([tf.keras.Input((4,)), L.Dense(1)])\n"
        "KerasRegressor(build, loss='mse', optimizer='sgd', verbose=0).fit(x, y)",
    ),
    "keras-applications": ("keras-applications==1.0.8", {}, "import keras_applications as ka\nm = ka.resnet50.ResNet50(weights=None, input_shape=(64, 64, 3), backend=tf.keras.backend, layers=tf.keras.layers, models=tf.keras.models, utils=tf.keras.utils)"),
    "keras-preprocessing": ("keras-preprocessing==1.1.2", {}, "from keras_preprocessing.image import ImageDataGenerator\ng = ImageDataGenerator().flow(np.zeros((8, 4, 4, 3)), np.zeros(8), batch_size=8)\nfit(tf.keras.Sequential([tf.keras.Input((4, 4, 3)), L.Flatten(), L.Dense(1)]), g, None)"),
    "efficientnet": (f"efficientnet==1.1.1 keras-applications==1.0.8 scikit-image lazy-loader networkx imageio tifffile {_SKLEARN}", {}, "import efficientnet.tfkeras as e\nm = e.EfficientNetB0(weights=None, input_shape=(32, 32, 3))"),
    "keras-bert": (
        "keras-bert==0.89.0 keras-transformer==0.40.0 keras-pos-embd==0.13.0 keras-multi-head==0.29.0 keras-layer-normalization==0.16.0 keras-position-wise-feed-forward==0.8.0 keras-embed-sim==0.10.0 keras-self-attention==0.51.0",
        {"TF_KERAS": "1"},
        "from keras_bert import get_model\nm = get_model(token_num=9, head_num=1, transformer_num=1, embed_dim=4, feed_forward_dim=4, seq_len=6)",
    ),
    "keras-self-attention": ("keras-self-attention==0.51.0", {"TF_KERAS": "1"}, "from keras_self_attention import SeqSelfAttention\nstack(SeqSelfAttention(units=2), L.Dense(1), shape=(3, 4), x=np.zeros((8, 3, 4), 'float32'), y=np.zeros((8, 3, 1), 'float32'))"),
    "tensorflow-model-optimization": ("tensorflow-model-optimization==0.8.1", {}, "import tensorflow_model_optimization as tfmot\nm = tfmot.sparsity.keras.prune_low_magnitude(tf.keras.Sequential([tf.keras.Input((4,)), L.Dense(1)]))\nm.compile('sgd', 'mse')\nm.fit(x, y, verbose=0, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])"),
    "tensorflow-ranking": ("tensorflow-ranking==0.5.5 tensorflow-serving-api", {}, "import tensorflow_ranking as tfr\nstack(L.Dense(4), loss=tfr.keras.losses.SoftmaxLoss(), y=np.eye(8, 4, dtype='float32'))"),
    "tensorflow-gnn": ("tensorflow-gnn==1.0.3 networkx pyarrow mlcroissant apache-beam google-vizier", {}, "import tensorflow_gnn as tfgnn\nfrom tensorflow_gnn.models import gcn\nprint(gcn.GCNConv(2))"),
    "keras-crf": ("keras-crf==0.3.0 tensorflow-addons==0.23.0 typeguard==2.13.3", {}, "from keras_crf import CRFModel\nm = CRFModel(tf.keras.Sequential([tf.keras.Input((3, 4)), L.Dense(4)]), 2)"),
    "tf2crf": ("tf2crf==0.1.33 tensorflow-addons==0.23.0 typeguard==2.13.3", {}, "from tf2crf import CRF, ModelWithCRFLoss\ni = tf.keras.Input((3, 4))\nm = ModelWithCRFLoss(tf.keras.Model(i, CRF(units=2)(i)))\nm.compile('sgd')\nm.fit(np.zeros((8, 3, 4), 'float32'), np.zeros((8, 3), 'int32'), verbose=0)"),
    "tensorflow-similarity": (f"tensorflow-similarity==0.17.1 tensorflow-datasets nmslib pandas pytz python-dateutil tqdm distinctipy tabulate contourpy cycler fonttools kiwisolver pillow pyparsing matplotlib termcolor bokeh umap-learn {_SKLEARN}", {}, "import tensorflow_similarity as tfsim"),
    "larq": ("larq==0.13.3 terminaltables typeguard==2.13.3", {}, "import larq as lq\nstack(lq.layers.QuantDense(1, kernel_quantizer='ste_sign', kernel_constraint='weight_clip'))"),
    "larq new": ("larq==0.14.0 terminaltables typeguard==2.13.3", {}, "import larq as lq\nstack(lq.layers.QuantDense(1, kernel_quantizer='ste_sign', kernel_constraint='weight_clip'))"),
    "keras-ocr": ("keras-ocr==0.9.3 editdistance essential-generators fonttools imgaug imageio opencv-python-headless pyclipper scikit-image shapely validators efficientnet==1.0.0 keras-applications==1.0.8 lazy-loader networkx tifffile matplotlib scipy", {}, "import keras_ocr\nr = keras_ocr.recognition.Recognizer(weights=None)"),
    "image-classifiers": ("image-classifiers==1.0.0 keras-applications==1.0.8", {}, "from classification_models.tfkeras import Classifiers\nm = Classifiers.get('resnet18')[0]((32, 32, 3), weights=None)"),
    "deepxde": (f"deepxde==1.15.0 tensorflow-probability==0.25.0 decorator cloudpickle dm-tree matplotlib scikit-optimize pyaml pyyaml contourpy cycler fonttools kiwisolver pillow pyparsing python-dateutil {_SKLEARN}", {"DDE_BACKEND": "tensorflow"}, "import deepxde as dde\ng = dde.geometry.Interval(-1, 1)\ndata = dde.data.Function(g, lambda x: x, 8, 8)\nm = dde.Model(data, dde.nn.FNN([1, 4, 1], 'tanh', 'Glorot uniform'))\nm.compile('adam', lr=0.001)\nm.train(iterations=2)"),
    "bayesflow": (f"bayesflow==2.0.12 matplotlib seaborn pandas pytz python-dateutil tqdm contourpy cycler fonttools kiwisolver pillow pyparsing {_SKLEARN}", {"KERAS_BACKEND": "tensorflow"}, "import bayesflow as bf\nn = bf.networks.MLP([4])\nprint(n(x).shape)"),
    "tensorflow-lattice": ("tensorflow-lattice==2.1.1 sortedcontainers pandas pytz python-dateutil", {}, "import tensorflow_lattice as tfl\nstack(tfl.layers.Linear(4))"),
    "tf-agents": ("tf-agents==0.19.0 tensorflow-probability==0.23.0 decorator cloudpickle dm-tree gin-config pygame gym==0.23.0 gym-notices pillow typing-extensions==4.5.0", {}, "from tf_agents.networks import sequential\nn = sequential.Sequential([L.Dense(2)], input_spec=tf.TensorSpec([4]))\nn.create_variables()"),
    "keras-tcn": ("keras-tcn==3.5.6 ", {}, "from tcn import TCN\nstack(TCN(nb_filters=2), L.Dense(1), shape=(3, 4), x=np.zeros((8, 3, 4), 'float32'))"),
    "keras-cv-attention-models": ("keras-cv-attention-models==1.4.3 tensorflow-datasets promise tqdm pillow toml array-record etils immutabledict tensorflow-metadata pyarrow simple-parsing docstring-parser fsspec zipp importlib-resources dm-tree psutil", {}, "from keras_cv_attention_models import resnet_family\nm = resnet_family.ResNet50D(pretrained=None, input_shape=(32, 32, 3))"),
    "tf-keras-vis": ("tf-keras-vis==0.8.7 deprecated scipy imageio pillow", {}, "from tf_keras_vis.saliency import Saliency\nfrom tf_keras_vis.utils.scores import CategoricalScore\nm = tf.keras.Sequential([tf.keras.Input((8, 8, 1)), L.Conv2D(2, 3), L.Flatten(), L.Dense(2)])\nSaliency(m)(CategoricalScore([0]), np.zeros((1, 8, 8, 1), 'float32'))"),
    "keras-unet-collection": ("keras-unet-collection==0.1.13 pillow", {}, "from keras_unet_collection import models\nm = models.unet_2d((32, 32, 1), [2, 4], n_labels=2)"),
    "transformers": (
        "transformers==4.48.3 tokenizers==0.21.0 huggingface-hub==0.36.0 safetensors regex tqdm pyyaml filelock fsspec hf-xet",
        {},
        "from transformers import BertConfig, TFBertModel\n"
        "e = TFBertModel(BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32))\n"
        "i = tf.keras.Input((6,), dtype=tf.int32)\nm = tf.keras.Model(i, L.Dense(1)(e(i)[1]))\nfit(m, np.ones((8, 6), 'int32'), y)",
    ),
    "transformers own": (
        "transformers==4.48.3 tokenizers==0.21.0 huggingface-hub==0.36.0 safetensors regex tqdm pyyaml filelock fsspec hf-xet",
        {},
        "from transformers import BertConfig, TFBertForSequenceClassification\n"
        "m = TFBertForSequenceClassification(BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32))\n"
        "m.compile(tf.keras.optimizers.Adam(1e-5), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))\nm.fit(np.ones((8, 6), 'int32'), np.zeros(8), verbose=0)",
    ),
    "transformers old": (
        "transformers==4.37.2 tokenizers==0.15.2 huggingface-hub==0.36.0 safetensors regex tqdm pyyaml filelock fsspec hf-xet",
        {},
        "from transformers import BertConfig, TFBertModel\n"
        "e = TFBertModel(BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32))\n"
        "i = tf.keras.Input((6,), dtype=tf.int32)\nm = tf.keras.Model(i, L.Dense(1)(e(i)[1]))\nfit(m, np.ones((8, 6), 'int32'), y)",
    ),
    "deepface": ("deepface==0.0.99 gdown mtcnn retina-face fire flask flask-cors opencv-python-headless pandas pillow requests tqdm gunicorn pytz python-dateutil beautifulsoup4 soupsieve werkzeug jinja2 markupsafe itsdangerous click blinker termcolor lz4 lightphe lightecc lightdsa", {}, "from deepface.models.facial_recognition import VGGFace\nm = VGGFace.base_model()"),
    "ktrain": ("ktrain==0.41.4 fastprogress pandas matplotlib joblib packaging langdetect jieba charset-normalizer chardet syntok transformers==4.48.3 tokenizers==0.21.0 huggingface-hub==0.36.0 safetensors regex tqdm pyyaml filelock fsspec hf-xet pytz python-dateutil contourpy cycler fonttools kiwisolver pillow pyparsing keras-bert==0.89.0 keras-transformer==0.40.0 keras-pos-embd==0.13.0 keras-multi-head==0.29.0 keras-layer-normalization==0.16.0 keras-position-wise-feed-forward==0.8.0 keras-embed-sim==0.10.0 keras-self-attention==0.51.0 scikit-learn threadpoolctl scipy sentencepiece whoosh", {}, "import ktrain\nm = tf.keras.Sequential([tf.keras.Input((4,)), L.Dense(1)]); m.compile('adam', 'mse')\nktrain.get_learner(m, train_data=(x, y), batch_size=4).fit(0.01, 1)"),
    "gpflow": ("gpflow==2.11.2 check-shapes dropstackframe lark multipledispatch tabulate deprecated tensorflow-probability==0.25.0 decorator cloudpickle dm-tree scipy", {}, "import gpflow\ngpflow.models.GPR((np.zeros((4, 1)), np.zeros((4, 1))), gpflow.kernels.RBF())"),
    "kapre": ("kapre==0.4.1 librosa soundfile audioread pooch soxr msgpack decorator lazy-loader cffi pycparser scikit-learn scipy joblib threadpoolctl numba llvmlite", {}, "import kapre\nstack(kapre.STFT(n_fft=16), kapre.Magnitude(), L.Flatten(), L.Dense(1), shape=(64, 1), x=np.zeros((8, 64, 1), 'float32'))"),
    "attention": ("attention==5.0.0", {}, "from attention import Attention\nstack(Attention(units=2), L.Dense(1), shape=(3, 4), x=np.zeros((8, 3, 4), 'float32'))"),
    "tf-slim": ("tf-slim==1.1.0", {}, "import tf_slim\nstack(L.Dense(1))"),
    "visualkeras": ("visualkeras==0.2.0 aggdraw pillow", {}, "import visualkeras\nvisualkeras.layered_view(tf.keras.Sequential([tf.keras.Input((4, 4, 1)), L.Conv2D(1, 2), L.Flatten(), L.Dense(1)]))"),
    "neural-structured-learning": ("neural-structured-learning==1.4.0 attrs", {}, "import neural_structured_learning as nsl\nm = nsl.keras.AdversarialRegularization(tf.keras.Sequential([tf.keras.Input((4,), name='feature'), L.Dense(1)]), adv_config=nsl.configs.make_adv_reg_config())\nm.compile('sgd', 'mse')\nm.fit({'feature': x, 'label': y}, verbose=0)"),
}


def install(folder: Path, requirements: str, python: str) -> str:
    """Install ``requirements`` alone into ``folder``; return what pip says where it fails."""
    if (folder / ".done").exists():
        return ""
    pip = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--target", str(folder), *requirements.split()], capture_output=True, text=True)
    if done.returncode == 0:
        (folder / ".done").touch()
    return "" if done.returncode == 0 else done.stderr[-300:]


def start(code: str, folder: Path, python: str, variables: dict[str, str]) -> str:
    """Return ``lives``, or the last line of the traceback."""
    environ = {**os.environ, "PYTHONPATH": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3", "AUTOXLA": "off", **variables}
    work = folder.parent / "work"
    work.mkdir(exist_ok=True)
    command = [python, "-c", f"{HEAD}\n{code}\nprint('done')"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=work, env=environ, timeout=240)
    except subprocess.TimeoutExpired:
        return "takes more than 240 s"
    if done.returncode == 0 and done.stdout.rstrip().endswith("done"):
        return "lives"
    return f"{done.returncode}: " + (done.stderr.strip().splitlines() or ["?"])[-1][:200]


def main() -> None:
    python, folder, *names = sys.argv[1:]
    for name in names or TRIALS:
        requirements, variables, code = TRIALS[name]
        home = Path(folder) / name.replace(" ", "_")
        trouble = install(home, requirements, python)
        row = {"name": name, "packages": requirements}
        if trouble:
            row["not installed"] = trouble
        else:
            row["plain"] = start(code, home, python, variables)
            row["switch"] = start(code, home, python, {**variables, "TF_USE_LEGACY_KERAS": "1"})
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
