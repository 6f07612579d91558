"""The programs: the twelve models of the benchmarks, and public ones by repository, commit and file.

Their sources are fetched into a folder outside of the checkout: ``FOLDER/OWNER+NAME`` is a clone of each.
"""

from __future__ import annotations

from dataclasses import dataclass

KERAS_IO, KERAS = "LukeWood/keras-io", "keras-team/keras"
BOOK, DOCS = "fchollet/deep-learning-with-python-notebooks", "tensorflow/docs"
#: Programs whose data are in Keras, or made by themselves.
FILES = {
    KERAS_IO: (
        "examples/vision/mnist_convnet.py",
        "examples/vision/attention_mil_classification.py",
        "examples/vision/knowledge_distillation.py",
        "examples/vision/siamese_contrastive.py",
        "examples/vision/mixup.py",
        "examples/vision/involution.py",
        "examples/generative/vae.py",
        "examples/generative/conditional_gan.py",
        "examples/generative/wgan_gp.py",
        "examples/generative/pixelcnn.py",
        "examples/generative/lstm_character_level_text_generation.py",
        "examples/keras_recipes/antirectifier.py",
        "examples/keras_recipes/quasi_svm.py",
        "examples/keras_recipes/debugging_tips.py",
        "examples/keras_recipes/subclassing_conv_layers.py",
        "examples/keras_recipes/endpoint_layer_pattern.py",
        "examples/nlp/addition_rnn.py",
        "examples/nlp/bidirectional_lstm_imdb.py",
        "examples/nlp/text_classification_with_transformer.py",
        "examples/nlp/text_classification_with_switch_transformer.py",
        "examples/timeseries/timeseries_classification_transformer.py",
        "examples/timeseries/timeseries_classification_from_scratch.py",
    ),
    KERAS: (
        "examples/demo_functional.py",
        "examples/demo_custom_tf_workflow.py",
        "guides/training_with_built_in_methods.py",
        "guides/writing_a_custom_training_loop_in_tensorflow.py",
    ),
    BOOK: (
        "chapter02_mathematical-building-blocks.ipynb",
        "chapter04_classification-and-regression.ipynb",
        "second_edition/chapter02_mathematical-building-blocks.ipynb",
        "second_edition/chapter04_getting-started-with-neural-networks.ipynb",
        "second_edition/chapter05_fundamentals-of-ml.ipynb",
        "second_edition/chapter07_working-with-keras.ipynb",
        "second_edition/chapter12_part04_variational-autoencoders.ipynb",
    ),
    DOCS: (
        "site/en/tutorials/quickstart/beginner.ipynb",
        "site/en/tutorials/quickstart/advanced.ipynb",
        "site/en/tutorials/images/cnn.ipynb",
        "site/en/tutorials/keras/classification.ipynb",
        "site/en/tutorials/generative/autoencoder.ipynb",
        "site/en/tutorials/generative/dcgan.ipynb",
        "site/en/guide/mixed_precision.ipynb",
    ),
}


@dataclass(frozen=True, slots=True)
class Program:
    """A public program, a file in a repository. `title` is its name without what others have, too."""

    repository: str
    file: str

    @property
    def title(self) -> str:
        """The name of the file, with its repository's."""
        name = self.file.rpartition("/")[2].rpartition(".")[0]
        return f"{self.repository.partition('/')[2][:10].rstrip('-')}: {name}"


def list_programs() -> list[Program]:
    """Return all public programs."""
    return [Program(repository, file) for repository, files in FILES.items() for file in files]
