"""What the networks learn from: image sets and their augmentation, canvases of digits, sentences."""
