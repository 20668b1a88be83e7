"""The recall of the first input (Mongia), trained by `train_recall.py`."""
