"""Readers that several tasks share: text, word vectors, batches of like length, archives, a
generated corpus.
"""
