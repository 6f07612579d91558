"""What the programs beside this import from it."""

EPOCHS = 3
