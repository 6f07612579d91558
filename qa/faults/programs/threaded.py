"""Imports TensorFlow and Keras in threads, and says what came of it."""

import importlib
import sys
import threading

NAMES = ("tensorflow", "keras", "tensorflow", "keras")
found = {}


def work(number, name):
    """Import a package."""
    barrier.wait()
    found[number] = importlib.import_module(name) if number < 2 else __import__(name)


barrier = threading.Barrier(len(NAMES))
threads = [threading.Thread(target=work, args=each) for each in enumerate(NAMES)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for number, name in enumerate(NAMES):
    print(name, found[number] is sys.modules[name], flush=True)
