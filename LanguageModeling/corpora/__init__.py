"""Corpora of documents and of reviews: their readers, and how they are evaluated."""
