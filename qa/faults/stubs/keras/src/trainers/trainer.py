"""A stand-in for the class that has ``compile``."""


class Trainer:
    """A model with one weight."""

    compiled = False
    jit_compile = None
    run_eagerly = False
    steps_per_execution = 1

    def compile(self, optimizer="sgd", loss=None, jit_compile="auto"):
        """Choose what is left open."""
        self.optimizer, self.loss = optimizer, loss
        self.jit_compile = False if jit_compile == "auto" else jit_compile
        self.compiled = True

    def compile_from_config(self, config):
        """Compile as a file says."""
        self.compile(config["optimizer"], config["loss"])
