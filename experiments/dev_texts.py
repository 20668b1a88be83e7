"""The sentences of a run's own dev data, as lists of words."""

from common.data.text import EOS
from experiments.connections import Network


def of(network: Network) -> list[list[str]]:
    """The texts, in the order of the data; a language model's begin with the end of the sentence before."""
    config = network.config
    if network.task == "LanguageModeling":
        from LanguageModeling import reader

        corpus = reader.load(config.data_dir)
        texts, words = [], [EOS]
        for word in corpus.vocabulary.decode(corpus.valid):
            if word == EOS:
                texts.append([*words, EOS])
                words = [EOS]
            else:
                words.append(word)
        return texts
    if network.task == "NER":
        from NER import reader

        return [list(sentence.words) for sentence in reader.load(config.data_dir, config.scheme).dev]
    from Sentiment import model as sentiment_model

    return [list(example.words) for example in sentiment_model.load_data(config).dev]
