"""Which Keras a program needs: what proves it, what only looks like it, and what is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from autoxla.model import Finding, Plan, Situation, Usage
from autoxla.policies import decide
from autoxla.policies.usage import summarise
from programs import run_code
from test_lookahead import read
from test_usage import VERSIONS

SWITCH = "TF_USE_LEGACY_KERAS"


def plan_of(folder: Path, files: Mapping[str, str] | str) -> Plan:
    """Return the plan for a program under current releases; nothing else is known of the machine."""
    reading = read(folder, files)
    return decide(Situation(versions=VERSIONS, reading=reading, usage=summarise(reading, VERSIONS, Usage())))


def said(plan: Plan) -> list[Finding]:
    return [finding for finding in plan.findings if finding.level != "info"]


def switches(plan: Plan) -> bool:
    return any(setting.variable == SWITCH and setting.value == "1" for setting in plan.settings)


HEAD = "import sys, os, platform\nimport tensorflow as tf\nimport keras\n"
#: One thing that Keras 3 lacks, in the forms in which programs do without it.
GUARDED = {
    "try": (
        "try:\n    o = tf.keras.optimizers.legacy.Adam()\n"
        "except AttributeError:\n    o = tf.keras.optimizers.Adam()"
    ),
    "try around an import": (
        "try:\n    from tensorflow.keras.optimizers.legacy import Adam\n"
        "except ImportError:\n    from tensorflow.keras.optimizers import Adam"
    ),
    "hasattr": (
        "if hasattr(tf.keras.optimizers, 'legacy'):\n    o = tf.keras.optimizers.legacy.Adam()\n"
        "else:\n    o = tf.keras.optimizers.Adam()"
    ),
    "version": (
        "if keras.__version__.startswith('2'):\n    o = tf.keras.optimizers.legacy.Adam()\n"
        "else:\n    o = tf.keras.optimizers.Adam()"
    ),
    "version in a tuple": (
        "V = tuple(map(int, tf.__version__.split('.')[:2]))\n"
        "if V < (2, 16):\n    o = tf.keras.optimizers.legacy.Adam()\n"
        "else:\n    o = tf.keras.optimizers.Adam()"
    ),
    "platform": (
        "if platform.system() == 'Darwin' and platform.processor() == 'arm':\n"
        "    o = tf.keras.optimizers.legacy.Adam()\nelse:\n    o = tf.keras.optimizers.Adam()"
    ),
    "ternary": (
        "k = tf.keras.optimizers\nO = k.legacy.Adam if sys.platform == 'darwin' else k.Adam\no = O()"
    ),
    "ternary with hasattr": (
        "k = tf.keras.optimizers\no = k.legacy.Adam() if hasattr(k, 'legacy') else k.Adam()"
    ),
    "and": "o = hasattr(tf.keras.optimizers, 'legacy') and tf.keras.optimizers.legacy.Adam()",
    "unused function": (
        "def old():\n    return tf.keras.optimizers.legacy.Adam()\no = tf.keras.optimizers.Adam()"
    ),
    "unused method": (
        "class Old:\n    def make(self):\n        return tf.keras.optimizers.legacy.Adam()\nOld"
    ),
    "lookup": (
        "makers = {'old': lambda: tf.keras.optimizers.legacy.Adam(), 'new': tf.keras.optimizers.Adam}\n"
        "o = makers['new']()"
    ),
    "lookup with a default": (
        "k = getattr(tf.keras.optimizers, 'legacy', tf.keras.optimizers)\no = k.Adam()"
    ),
    "lookup that is called": "o = getattr(tf.keras.optimizers, 'legacy', tf.keras.optimizers).Adam()",
    "isinstance": (
        "o = tf.keras.optimizers.Adam()\n"
        "if isinstance(o, getattr(getattr(tf.keras.optimizers, 'legacy', tf.keras), 'Adam', ())): print(o)"
    ),
    "isinstance under hasattr": (
        "o = tf.keras.optimizers.Adam()\n"
        "old = hasattr(tf.keras.optimizers, 'legacy') and isinstance(o, tf.keras.optimizers.legacy.Optimizer)"
    ),
    # Keras 3 has these names. Only calling them fails.
    "one of two that are imported": (
        "from tensorflow.keras.optimizers import Adam, legacy\n"
        "o = legacy.Adam(1e-3) if sys.platform == 'darwin' else Adam(1e-3)"
    ),
    "isinstance of both": (
        "from tensorflow.keras.optimizers import SGD, legacy\n"
        "print(isinstance(SGD(), (SGD, legacy.SGD)), isinstance(SGD(), tf.keras.optimizers.legacy.Optimizer))"
    ),
    "isinstance of what is imported": (
        "from tensorflow.keras.optimizers.legacy import SGD as Old\nprint(isinstance(sys, Old))"
    ),
    "a table of classes": (
        "makers = {'old': tf.keras.optimizers.legacy.Adam, 'new': tf.keras.optimizers.Adam}\n"
        "o = makers['new']()"
    ),
    "a class that nobody makes": "class Own(tf.keras.optimizers.legacy.Adam):\n    pass",
    # What the program puts in place itself.
    "a function of its own": (
        "tf.keras.backend.learning_phase = lambda: 0\nprint(tf.keras.backend.learning_phase())"
    ),
    "a module of its own": (
        "tf.keras.optimizers.legacy = tf.keras.optimizers\no = tf.keras.optimizers.legacy.Adam()"
    ),
    "setattr": (
        "K = tf.keras.backend\nfor name, each in {'learning_phase': len}.items(): setattr(K, name, each)\n"
        "K.learning_phase(())"
    ),
    "setdefault of a module": (
        "from tensorflow.keras import backend as K\n"
        "K.__dict__.setdefault('learning_phase', lambda: 0)\nK.learning_phase()"
    ),
    "update of a module": (
        "tf.keras.layers.__dict__.update(DenseFeatures=None)\nprint(tf.keras.layers.DenseFeatures)"
    ),
    "item of a module": (
        "tf.keras.layers.__dict__['DenseFeatures'] = None\nprint(tf.keras.layers.DenseFeatures)"
    ),
    "own context manager": (
        "class Ignore:\n    def __enter__(self): return self\n    def __exit__(self, *a): return True\n"
        "with Ignore():\n    print(tf.keras.backend.learning_phase())"
    ),
    "own function for with": (
        "import contextlib\n@contextlib.contextmanager\ndef ignore():\n    try:\n        yield\n"
        "    except AttributeError:\n        pass\n"
        "with ignore():\n    print(tf.keras.backend.learning_phase())"
    ),
}


@pytest.mark.parametrize("name", GUARDED)
def test_what_a_program_can_do_without_is_quiet(name: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, HEAD + GUARDED[name])
    assert said(plan) == []
    assert not switches(plan)


#: Calls of what Keras 3 has only to raise an error, that certainly run, and their lines.
CALLED = {
    "at once": ("tf.keras.optimizers.legacy.Adam(1e-3)", 4),
    "by another name": ("from tensorflow.keras.optimizers import legacy\nOld = legacy.Adam\nOld(1e-3)", 6),
    "by getattr": ("getattr(tf.keras.optimizers, 'legacy').Adam(1e-3)", 4),
    "passed on": ("def make(kind): return kind(1e-3)\nmake(tf.keras.optimizers.legacy.Adam)", 4),
    "out of a table": ("makers = {'old': tf.keras.optimizers.legacy.Adam}\nmakers['old']()", 5),
    "as a base": ("class Own(tf.keras.optimizers.legacy.Adam):\n    pass\nOwn()", 6),
    "in a timer": (
        "class Timer:\n    def __enter__(self): return self\n    def __exit__(self, *a): self.end = 1\n"
        "with Timer():\n    tf.keras.optimizers.legacy.Adam(1e-3)",
        8,
    ),
    "in a function that cleans up": (
        "import contextlib\n@contextlib.contextmanager\ndef folder():\n    try:\n        yield\n"
        "    finally:\n        print('done')\nwith folder():\n    tf.keras.optimizers.legacy.Adam(1e-3)",
        12,
    ),
    "beside what is put in place": (
        "tf.keras.backend.learning_phase = lambda: 0\ntf.keras.optimizers.legacy.Adam()",
        5,
    ),
    "and the release is told": ("print(tf.keras.__version__)\ntf.keras.optimizers.legacy.Adam()", 5),
}


@pytest.mark.parametrize("name", CALLED)
def test_a_call_of_what_only_raises_an_error_is_certain(name: str, tmp_path: Path) -> None:
    code, line = CALLED[name]
    plan = plan_of(tmp_path, HEAD + code)
    (finding,) = said(plan)
    assert (finding.code, finding.place.line, switches(plan)) == ("AX112", line, True)
    assert finding.message == (
        "tensorflow.keras.optimizers.legacy.Adam exists in Keras 2 only, but tf.keras is Keras 3"
    )


def test_a_name_that_keras_3_does_not_have_is_certain(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, HEAD + "from tensorflow.keras.optimizers.legacy import Nadam\n")
    assert [finding.code for finding in said(plan)] == ["AX112"]
    assert switches(plan)


NET = "tf.keras.Sequential([tf.keras.layers.Dense(1)])\n"
LATE = f'os.environ["{SWITCH}"] = "1"\n'
FOR_CHILDREN = {
    "after training": "tf.keras.Sequential().compile('sgd', 'mse')\n" + LATE,
    "from a function": f"def train():\n    return {NET}train()\n" + LATE,
    "used again behind it": f"m = {NET}{LATE}m.add(tf.keras.layers.Dense(2))\n",
    "names imported before": f"from tensorflow.keras import layers\nm = {NET}{LATE}layers.Dense(2)\n",
}
HALF = {
    "not used before": LATE + NET,
    "only imported before": f"from tensorflow.keras.layers import Dense\n{LATE}{NET}",
    "another name behind it": f"m = {NET}{LATE}tf.optimizers.Adam()\n",
}


@pytest.mark.parametrize("name", FOR_CHILDREN)
def test_the_switch_for_child_processes_is_quiet(name: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, HEAD + FOR_CHILDREN[name])
    assert said(plan) == []
    assert not switches(plan)


@pytest.mark.parametrize("name", HALF)
def test_a_switch_that_leaves_tf_keras_half_switched_is_told(name: str, tmp_path: Path) -> None:
    assert [finding.code for finding in said(plan_of(tmp_path, HEAD + HALF[name]))] == ["AX116"]


# --- Objects that flow through a program

BOTH = """
import sys, os
import numpy as np
import tensorflow as tf
import tf_keras
m = tf.keras.Sequential()
"""
KERAS = """
import sys, os
import numpy as np
import tensorflow as tf
import keras
"""
#: Programs in which objects of two generations meet, and die of it.
DYING = {
    "dataclass": BOTH
    + """
from dataclasses import dataclass
@dataclass
class Parts:
    layer: object
    loss: str = 'mse'
p=Parts(tf_keras.layers.Dense(1))
m.add(p.layer)
""",
    "namedtuple": BOTH
    + """
from typing import NamedTuple
class Parts(NamedTuple):
    layer: object
    n: int
p=Parts(tf_keras.layers.Dense(1),2)
m.add(p.layer)
""",
    "builder": BOTH
    + """
class B:
    def __init__(self): self.layers=[]
    def dense(self,n):
        self.layers.append(tf_keras.layers.Dense(n))
        return self
    def build(self): return tf.keras.Sequential(self.layers)
B().dense(2).dense(1).build()
""",
    "class in dict": BOTH
    + """
CONF={'layer':tf_keras.layers.Dense,'units':1}
m.add(CONF['layer'](CONF['units']))
""",
    "global": BOTH
    + """
layer=None
def init():
    global layer
    layer=tf_keras.layers.Dense(1)
init()
m.add(layer)
""",
    "classmethod": BOTH
    + """
class F:
    @classmethod
    def create(cls): return tf_keras.layers.Dense(1)
m.add(F.create())
""",
    "staticmethod": BOTH
    + """
class F:
    @staticmethod
    def create(): return tf_keras.layers.Dense(1)
m.add(F.create())
""",
    "property": BOTH
    + """
class F:
    @property
    def layer(self): return tf_keras.layers.Dense(1)
m.add(F().layer)
""",
    "scope": BOTH
    + """
s=tf.distribute.MirroredStrategy()
with s.scope():
    k=tf.keras.Sequential([tf_keras.layers.Dense(1)])
""",
    "main args": BOTH
    + """
def main(argv):
    opt=tf_keras.optimizers.Adam()
    k=tf.keras.Sequential([tf.keras.layers.Dense(1)])
    k.compile(optimizer=opt,loss='mse')
if __name__=='__main__':
    sys.exit(main(sys.argv[1:]))
""",
    "double star": BOTH
    + """
opts={'optimizer':tf_keras.optimizers.Adam(),'loss':'mse'}
m.compile(**opts)
""",
    "star": BOTH
    + """
head=[tf_keras.layers.Dense(4)]
body=[tf_keras.layers.Dense(1)]
tf.keras.Sequential([*head,*body])
""",
    "finally": BOTH
    + """
try:
    m.add(tf_keras.layers.Dense(1))
finally:
    print('x')
""",
    "functional": BOTH
    + """
i=tf.keras.Input((4,))
x=tf.keras.layers.Dense(4)(i)
x=tf_keras.layers.Dense(4)(x)
tf.keras.Model(i,x)
""",
    "nested closure": BOTH
    + """
def outer():
    layer=tf_keras.layers.Dense(1)
    def inner(model):
        model.add(layer)
    return inner
outer()(m)
""",
    "setattr": BOTH
    + """
class C: pass
c=C()
setattr(c,'layer',tf_keras.layers.Dense(1))
m.add(c.layer)
""",
    "dict update": BOTH
    + """
d={}
d['x']=tf_keras.layers.Dense(1)
m.add(d['x'])
""",
    "dict items": BOTH
    + """
d={'x':tf_keras.layers.Dense(1)}
for n,l in d.items(): m.add(l)
""",
    "schedule": BOTH
    + """
tf_keras.optimizers.SGD(tf.keras.optimizers.schedules.ExponentialDecay(.1,10,.9))
tf_keras.Sequential().compile(tf_keras.optimizers.SGD(tf.keras.optimizers.schedules.ExponentialDecay(.1,10,.9)))
""",
}

#: The same across files.
DYING_IN_FILES = {
    "reexported": {
        "main.py": """
import tensorflow as tf
from pkg import build, make_optimizer
model=build()
model.compile(make_optimizer(),'mse')
""",
        "pkg/__init__.py": """
from .models import build
from .optim import make_optimizer
""",
        "pkg/models.py": """
import tensorflow as tf
def build():
    return tf.keras.Sequential([tf.keras.layers.Dense(1)])
""",
        "pkg/optim.py": """
import tf_keras
def make_optimizer():
    return tf_keras.optimizers.Adam()
""",
    },
    "blocks": {
        "main.py": """
import tensorflow as tf
from net import blocks
i=tf.keras.Input((4,))
out=blocks.block(i)
model=tf.keras.Model(i,out)
""",
        "net/__init__.py": "",
        "net/blocks.py": """
from tf_keras import layers
def block(x):
    x=layers.Dense(4)(x)
    return layers.ReLU()(x)
""",
    },
    "base class": {
        "main.py": """
from tensorflow import keras
from base import Base
class Own(Base):
    pass
Own().compile(keras.optimizers.Adam(),'mse')
""",
        "base.py": """
import tf_keras
class Base(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.d=tf_keras.layers.Dense(1)
    def call(self,x): return self.d(x)
""",
    },
    "config module": {
        "main.py": """
import tensorflow as tf
import config
m=tf.keras.Sequential()
for layer in config.LAYERS:
    m.add(layer)
""",
        "config.py": """
from tf_keras.layers import Dense
LAYERS=[Dense(4),Dense(1)]
""",
    },
    "trainer object": {
        "main.py": """
from model import build
from trainer import Trainer
Trainer(build()).run()
""",
        "model.py": """
from tensorflow import keras
def build():
    return keras.Sequential([keras.layers.Dense(1)])
""",
        "trainer.py": """
from tf_keras.optimizers import Adam
class Trainer:
    def __init__(self, model, lr=1e-3):
        self.model=model
        self.optimizer=Adam(lr)
    def run(self):
        self.model.compile(self.optimizer,'mse')
""",
    },
    "singleton": {
        "main.py": """
import state, work
work.run()
""",
        "state.py": """
import tf_keras
model=tf_keras.Sequential([tf_keras.layers.Dense(1)])
""",
        "work.py": """
import tensorflow as tf
import state
def run():
    state.model.compile(tf.keras.optimizers.SGD(.1),'mse')
""",
    },
    "factory dict across files": {
        "main.py": """
import tensorflow as tf
from registry import make
model=tf.keras.Sequential([make('dense',4)])
""",
        "registry.py": """
import tf_keras
LAYERS={'dense':tf_keras.layers.Dense,'drop':tf_keras.layers.Dropout}
def make(name,*args):
    return LAYERS[name](*args)
""",
    },
}

#: Programs with two generations that never meet, or whose authors expect that they do not fit.
WORKING = {
    "same function": BOTH
    + """
def build(K): return K.Sequential([K.layers.Dense(1)])
build(tf_keras)
build(tf.keras)
""",
    "loop over packages": BOTH
    + """
for K in (tf_keras, tf.keras):
    k=K.Sequential([K.Input((4,)),K.layers.Dense(1)])
    k.compile(K.optimizers.SGD(.1),'mse')
""",
    "dict of packages": BOTH
    + """
for name,K in {'old':tf_keras,'new':tf.keras}.items():
    k=K.Sequential([K.layers.Dense(1)])
    k.compile(K.optimizers.SGD(.1),'mse')
""",
    "trainer class": BOTH
    + """
class T:
    def __init__(self,K):
        self.K=K
        self.model=K.Sequential([K.layers.Dense(1)])
        self.opt=K.optimizers.SGD(.1)
    def run(self): self.model.compile(self.opt,'mse')
for t in (T(tf_keras),T(tf.keras)): t.run()
""",
    "two trainers": BOTH
    + """
class T:
    def __init__(self,K):
        self.model=K.Sequential([K.layers.Dense(1)])
        self.opt=K.optimizers.SGD(.1)
    def run(self): self.model.compile(self.opt,'mse')
T(tf_keras).run()
T(tf.keras).run()
""",
    "chosen": BOTH
    + """
K=tf_keras if os.environ.get('OLD') else tf.keras
k=K.Sequential([K.layers.Dense(1)])
k.compile(K.optimizers.SGD(.1),'mse')
""",
    "chosen import": """
import sys
if len(sys.argv)>1:
    import tf_keras as keras
else:
    from tensorflow import keras
k=keras.Sequential([keras.layers.Dense(1)])
k.compile(keras.optimizers.SGD(.1),'mse')
""",
    "try import": """
try:
    import tf_keras as keras
except ImportError:
    from tensorflow import keras
import tensorflow as tf
tf.keras.backend.clear_session()
k=keras.Sequential([keras.layers.Dense(1)])
k.compile(keras.optimizers.SGD(.1),'mse')
""",
    "isinstance": BOTH
    + """
def kind(o):
    return isinstance(o,(tf_keras.Model,tf.keras.Model))
print(kind(m))
""",
    "models in a list": BOTH
    + """
ms=[tf_keras.Sequential([tf_keras.layers.Dense(1)]),tf.keras.Sequential([tf.keras.layers.Dense(1)])]
for k in ms:
    k.compile('sgd','mse')
    k.fit(np.ones((4,2)),np.ones(4))
""",
    "layer weights": BOTH
    + """
old=tf_keras.Sequential([tf_keras.layers.Dense(1)])
new=tf.keras.Sequential([tf.keras.layers.Dense(1)])
for a,b in zip(old.layers,new.layers): b.set_weights(a.get_weights())
""",
    "distillation": BOTH
    + """
t=tf_keras.Sequential([tf_keras.layers.Dense(1)])
s=tf.keras.Sequential([tf.keras.layers.Dense(1)])
s.compile('sgd','mse')
x=np.ones((4,2))
s.fit(x,t.predict(x))
""",
    "pairs": BOTH
    + """
pairs=[(tf_keras.Sequential(),tf_keras.optimizers.SGD()),(tf.keras.Sequential(),tf.keras.optimizers.SGD())]
for k,o in pairs: k.compile(o,'mse')
""",
    "old callback": BOTH
    + """
m.add(tf.keras.layers.Dense(1))
m.compile('sgd','mse')
m.fit(np.ones((4,2)),np.ones(4),callbacks=[tf_keras.callbacks.EarlyStopping('loss')])
""",
    "converter class": BOTH
    + """
class Converter:
    def __init__(self,path): self.old=tf_keras.models.load_model(path)
    def build(self):
        new=tf.keras.Sequential([tf.keras.Input((4,)),tf.keras.layers.Dense(1)])
        new.set_weights(self.old.get_weights())
        return new
Converter(sys.argv[1]).build().save('new.keras')
""",
    "caught": BOTH
    + """
try:
    m.add(tf_keras.layers.Dense(1))
except (TypeError, ValueError) as e:
    print(e)
""",
    "pytest raises": BOTH
    + """
import pytest
with pytest.raises(ValueError):
    m.add(tf_keras.layers.Dense(1))
""",
    "suppress": BOTH
    + """
from contextlib import suppress
with suppress(Exception):
    m.add(tf_keras.layers.Dense(1))
""",
    "unittest": BOTH
    + """
import unittest
class T(unittest.TestCase):
    def test(self):
        with self.assertRaises(ValueError):
            m.add(tf_keras.layers.Dense(1))
unittest.main()
""",
    "tensor hand over": BOTH
    + """
old=tf_keras.layers.Dense(4)
new=tf.keras.layers.Dense(4)
x=tf.ones((2,3))
print(new(old(x)).shape)
""",
    "by name": BOTH
    + """
m.compile('adam','mse')
o=tf_keras.Sequential()
o.compile('adam','mse')
""",
    "optimizer conf": BOTH
    + """
old=tf_keras.optimizers.SGD(.1)
m.compile(tf.keras.optimizers.get({'class_name':'SGD','config':{'learning_rate':float(old.learning_rate)}}))
""",
}

#: Programs that die of what Keras 3 lacks, and use of keras what serves any tf.keras.
SWITCHED = {
    "version": KERAS
    + """
print('Keras', keras.__version__)
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "version compared": KERAS
    + """
assert keras.__version__ >= '2'
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "version function": KERAS
    + """
print(keras.version())
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "to_categorical": KERAS
    + """
y=keras.utils.to_categorical([0,1],2)
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "from utils": KERAS
    + """
from keras.utils import to_categorical, set_random_seed
set_random_seed(1)
print(to_categorical([0,1]))
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "pad": KERAS
    + """
from keras.preprocessing.sequence import pad_sequences
pad_sequences([[1]])
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "mnist": KERAS
    + """
(a,b),(c,d)=keras.datasets.mnist.load_data()
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "backend": KERAS
    + """
from keras import backend as B
B.clear_session()
print(B.epsilon(), B.floatx(), B.image_data_format())
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "ops on arrays": KERAS
    + """
print(keras.ops.mean(np.ones(3)))
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "getattr version": KERAS
    + """
print(getattr(tf.keras,'__version__',None))
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "hasattr ops": KERAS
    + """
print(hasattr(tf.keras,'ops'))
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "guarded ops": KERAS
    + """
if hasattr(tf.keras,'ops'):
    print(tf.keras.ops.mean([1.,2.]))
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "own keras model": KERAS
    + """
k=keras.Sequential([keras.layers.Dense(1)])
k.compile('sgd','mse')
k.fit(np.ones((4,2)),np.ones(4))
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "loss": KERAS
    + """
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),keras.losses.MeanSquaredError())
net.fit(np.ones((4,2)),np.ones(4))
""",
    "regularizer": KERAS
    + """
net=tf.keras.Sequential([tf.keras.layers.Dense(1,kernel_regularizer=keras.regularizers.l2(1e-3),kernel_initializer=keras.initializers.HeNormal())])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "plot": KERAS
    + """
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
keras.utils.plot_model(net)
""",
    "metric by itself": KERAS
    + """
q=keras.metrics.Mean()
q.update_state([1.])
print(q.result())
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
}

#: Programs that need Keras 2, and give tf.keras what keras makes, or set there what it is to follow.
ALIASED = {
    "callback": KERAS
    + """
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4),callbacks=[keras.callbacks.EarlyStopping('loss')])
""",
    "callback list": KERAS
    + """
cbs=[]
cbs.append(keras.callbacks.ModelCheckpoint('x.h5'))
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4),callbacks=cbs)
""",
    "own callback": KERAS
    + """
class C(keras.callbacks.Callback):
    pass
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4),callbacks=[C()])
""",
    "metric": KERAS
    + """
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse',metrics=[keras.metrics.AUC()])
net.fit(np.ones((4,2)),np.ones(4))
""",
    "schedule": KERAS
    + """
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(keras.optimizers.schedules.CosineDecay(1e-3,10)),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "policy": KERAS
    + """
keras.mixed_precision.set_global_policy('mixed_float16')
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "sequence": KERAS
    + """
class D(keras.utils.Sequence):
    def __len__(self): return 1
    def __getitem__(self,i): return np.ones((4,2)),np.ones(4)
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(D())
""",
    "layer": KERAS
    + """
net=tf.keras.Sequential([keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
""",
    "own trainer": KERAS
    + """
class T:
    def __init__(self): self.cbs=[keras.callbacks.EarlyStopping('loss')]
    def run(self,net): net.fit(np.ones((4,2)),np.ones(4),callbacks=self.cbs)
net=tf.keras.Sequential([tf.keras.layers.Dense(1)])
net.compile(tf.keras.optimizers.legacy.Adam(1e-3),'mse')
net.fit(np.ones((4,2)),np.ones(4))
T().run(net)
""",
}


@pytest.mark.parametrize("name", [*DYING, *DYING_IN_FILES])
def test_what_certainly_meets_is_switched(name: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, DYING.get(name) or DYING_IN_FILES[name])
    assert [finding.code for finding in said(plan)] == ["AX112"]
    assert switches(plan)
    assert not plan.alias


@pytest.mark.parametrize("name", WORKING)
def test_generations_that_never_meet_are_left_alone(name: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, WORKING[name])
    assert said(plan) == []
    assert not plan.settings


@pytest.mark.parametrize("name", SWITCHED)
def test_keras_beside_tf_keras_does_not_hinder_the_switch(name: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SWITCHED[name])
    assert [finding.code for finding in said(plan)] == ["AX112"]
    assert switches(plan)
    assert not plan.alias


@pytest.mark.parametrize("name", ALIASED)
def test_what_keras_makes_for_tf_keras_takes_the_alias(name: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, ALIASED[name])
    assert [finding.code for finding in said(plan)] == ["AX112", "AX120"]
    assert switches(plan)
    assert plan.alias == {"keras": "tf_keras"}


@pytest.mark.tensorflow
def test_programs_that_are_aliased_live(tmp_path: Path) -> None:
    """The parts that die of the switch alone, all in one program."""
    program = """
class Data(keras.utils.Sequence):
    def __len__(self):
        return 1
    def __getitem__(self, index):
        return np.ones((4, 2)), np.ones((4, 1))
keras.mixed_precision.set_global_policy("mixed_float16")
net = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid")])
rate = keras.optimizers.schedules.CosineDecay(1e-3, 10)
net.compile(tf.keras.optimizers.legacy.Adam(rate), "mse", metrics=[keras.metrics.AUC()])
net.fit(Data(), verbose=0, callbacks=[keras.callbacks.EarlyStopping("loss")])
print(net.layers[0].compute_dtype)
"""
    outcome = run_code(f"import autoxla\n{KERAS}{program}", tmp_path)
    assert outcome.out == "float16\n", outcome.err
    assert "AX112" in outcome.notices[0]
