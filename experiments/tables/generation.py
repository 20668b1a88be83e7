"""The sentence VAE, documents, reviews that come with a rating, networks by characters."""

from experiments.tables.table import Row, Table

_SUFFIX = {"suffix_length": 3, "suffix_count": 200}
_MIXED = {"preset": "mixed"}
_CONTEXTS = {
    "sentence": Row("none: each sentence by itself", {"context": "sentence"}),
    "stream": Row("none: the texts as a stream", {"context": "stream"}),
    "input": Row("in the input", {"context": "input"}),
    "output": Row("at the output", {"context": "output"}),
    "attention": Row("attention over 8 sentences", {"context": "attention"}),
}
_COHERENT = "Coherent: more probable than with its sentences in a random order; equal, one half."

GENERATION = {
    "vae_small": Table(
        "Sentence VAE, PTB, small scale (128 units, 16 numbers a sentence): bounds on perplexity",
        "LanguageModeling",
        (
            ("test_perplexity", "test, perplexity at most", 1, 1.0),
            ("test_perplexity_bound20", "test, by 20 samples", 1, 1.0),
            ("test_nll", "nats a sentence at most", 1, 1.0),
            ("test_kl", "KL", 2, 1.0),
            ("test_active_units", "active units", 0, 1.0),
        ),
        {
            "lstm": Row("without a vector of the sentence", {"latent_size": 0, "word_keep": 1}),
            "vae": Row("VAE, 60 % of the words kept", {}),
        },
        {"preset": "small", "eval_samples": 20},
        data="ptb",
        script="VAE_train.py",
        presets="vae.presets",
        hours=0.5,
        seeds=1,
        note=(
            "The perplexity of sentences on their own, not of a text; of the VAE it is a bound, "
            "from one sample of the vector or, closer, from 20."
        ),
    ),
    "documents_small": Table(
        "Contexts of the sentences before, CoNLL's Reuters stories (128 units)",
        "LanguageModeling",
        (
            ("valid_perplexity", "valid, perplexity", 1, 1.0),
            ("test_perplexity", "test, perplexity", 1, 1.0),
            ("test_coherence", "test, coherent stories (%)", 1, 100.0),
        ),
        _CONTEXTS,
        {"preset": "documents"},
        data="conll2003",
        hours=0.1,
        seeds=1,
        note=_COHERENT,
    ),
    "documents_imdb_small": Table(
        "Contexts of the sentences before, 2,000 of IMDB's reviews (128 units)",
        "LanguageModeling",
        (
            ("valid_perplexity", "valid, perplexity", 1, 1.0),
            ("test_perplexity", "test, perplexity", 1, 1.0),
            ("test_coherence", "test, coherent reviews (%)", 1, 100.0),
        ),
        _CONTEXTS,
        {"preset": "documents", "max_documents": 2000, "min_count": 5},
        data="imdb",
        hours=0.1,
        seeds=1,
        note=_COHERENT,
    ),
    "reviews_small": Table(
        "Characters of IMDB's reviews given their label or rating (2 x 128, 4,000 reviews)",
        "LanguageModeling",
        (
            ("valid_perplexity", "valid, perplexity a character", 2, 1.0),
            ("test_perplexity", "test, perplexity a character", 2, 1.0),
            ("test_accuracy", "test, label by likelihood (%)", 1, 100.0),
            ("test_rating_accuracy", "test, rating by likelihood (%)", 1, 100.0),
        ),
        {
            "label": Row("given the label", {"condition": "label"}),
            "rating": Row("given the rating", {"condition": "rating"}),
        },
        {"preset": "reviews"},
        data="imdb",
        hours=1.0,
        seeds=1,
    ),
    "suffix_small": Table(
        "A softmax for each suffix of the history; words and characters: PTB by characters (100"
        " units)",
        "LanguageModeling",
        (
            ("valid_perplexity", "valid, perplexity a character", 3, 1.0),
            ("test_perplexity", "test, perplexity a character", 3, 1.0),
            ("test_bits", "test, bits a character", 3, 1.0),
            ("test_word_perplexity", "test, perplexity a word of 2,001", 1, 1.0),
        ),
        {
            "plain": Row("one softmax", {"output": "plain"}),
            "suffix": Row("suffixes of up to 3, seen 200 times", _SUFFIX),
            "lstm": Row("LSTM, one softmax", {**_MIXED, "model": "word", "rnn_size": 100}),
            "mixed": Row("LSTM, given an LSTM of 200 units over words", _MIXED),
            "mixed_dynamic_skip": Row(
                "LSTM, given dynamic skips of 200 units over words",
                {**_MIXED, "cell": "dynamic_skip", "rl_weight": 0.01, "entropy_weight": 0.01},
                control="mixed",
            ),
        },
        {"preset": "suffix"},
        data="ptb",
        hours=1.0,
        seeds=1,
    ),
}
