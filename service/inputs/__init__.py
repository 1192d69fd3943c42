"""What a model is asked about: images, rows, texts, or samples of a dataset."""
