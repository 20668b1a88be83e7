"""Sentiment classification on IMDB and the Stanford Sentiment Treebank."""
