"""Sentiment: IMDB and the Stanford Sentiment Treebank."""

from experiments.tables.table import (
    ACCURACY,
    ATTENTION,
    CONTROL,
    FIXED_3,
    FIXED_5,
    LSTM,
    MIXTURE,
    Row,
    Table,
    trial,
    tuned,
    tuned_note,
    without_paper,
)

_IMDB_ROWS = {
    "lstm": Row(LSTM, {"cell": "lstm"}, {"test_accuracy_sampled": 89.1}),
    "skip_lstm": Row(
        "Skip LSTM", {"cell": "skip_lstm"}, {"test_accuracy_sampled": 86.6}, "Campos et al. 2017"
    ),
    "jump_lstm": Row(
        "Jump LSTM", {"preset": "jump"}, {"test_accuracy_sampled": 89.4}, "Yu et al. 2017"
    ),
    "cba": Row(
        "attention by predicted reading times (of eye tracking)",
        {},
        {"test_accuracy_sampled": 89.4},
        "Long et al. 2017",
        quoted=True,
    ),
    "fixed_skip_3": Row(
        FIXED_3, {"cell": "fixed_skip", "skip": 3}, {"test_accuracy_sampled": 89.6}
    ),
    "fixed_skip_5": Row(
        FIXED_5, {"cell": "fixed_skip", "skip": 5}, {"test_accuracy_sampled": 89.3}
    ),
    "attention": Row(
        f"{ATTENTION}, lamda 0.5", {"cell": "attention"}, {"test_accuracy_sampled": 89.4}
    ),
    "dynamic_skip": Row("dynamic skips, K = 3, lamda 0.5", {}, {"test_accuracy_sampled": 90.1}),
    "straight_through": Row(
        "dynamic skips, K = 3, lamda 0.5, straight-through", {"estimator": "straight_through"}
    ),
    "lstm_last": Row(
        "LSTM, its last output instead of the mean", {"cell": "lstm", "pooling": "last"}
    ),
    "lstm_attention": Row(
        "LSTM, attention over its outputs instead of the mean",
        {"cell": "lstm", "pooling": "attention"},
    ),
    "lstm_reading_time": Row(
        "LSTM, attention by predicted reading times (self-paced; a substitute)",
        {"cell": "lstm", "pooling": "reading_time"},
    ),
    "lstm_attention_reading_time": Row(
        "LSTM, predicted reading times mixed with attention over its outputs (a substitute)",
        {"cell": "lstm", "pooling": "attention_and_reading_time"},
    ),
    "lstm_sentences": Row(
        "LSTM, attention over words and over sentences",
        {"cell": "lstm", "pooling": "attention", "sentences": True},
        {"test_accuracy_sampled": 89.3},
        "Long et al. 2017, of Chen et al. 2016",
    ),
}
# At lamda 0.5 as the preset is, so two of them are there already.
_IMDB_TRIAL = {
    name: row
    for name, row in trial(3).items()
    if name not in ("attention_lamda0.5", "dynamic_skip_lamda0.5")
}

_TEN_STATES = {
    "straight_through_10": Row(
        "dynamic skips, K = 10, lamda 0.5, straight-through",
        {"estimator": "straight_through", "n_actions": 10},
    ),
    "random_skip_10": Row(
        "random skips, K = 10, lamda 0.5 (control)",
        {"cell": "random_skip", "n_actions": 10},
    ),
    "attention_10": Row(
        f"{ATTENTION}, K = 10, lamda 0.5",
        {"cell": "attention", "lamda": 0.5, "n_actions": 10},
    ),
}

_TUNED_ROWS = {
    name: (_IMDB_ROWS | _IMDB_TRIAL)[name]
    for name in ("lstm", CONTROL, "attention", "straight_through")
}

_GRID = {"learning_rate": (0.002, 0.001), "dropout": (0.2, 0.5)}

_WORD2VEC = "embeddings/googlenews_w2v_300d_8000w.npz"
_WORD2VEC_NOTE = "Word vectors: the 8,000 of word2vec that were at hand, the others random."


def _sst_rows() -> dict[str, Row]:
    rows = {
        "lstm": Row(LSTM, {"cell": "lstm"}),
        "dynamic_skip": Row("dynamic skips, K = 3, lamda 0.5", {}),
    }
    kinds = {"A": (1, None), "B": (2, None), "C": (1, 2), "D": (2, 2)}
    for base, unit in (("rnn", "RNN"), ("lstm", "LSTM")):
        for kind, (n_matrices, skip) in kinds.items():
            flags = {"cell": "skip_rnn", "base": base, "n_matrices": n_matrices} | (
                {"skip": skip} if skip else {}
            )
            matrices = "one matrix" if n_matrices == 1 else "two matrices"
            rows[f"{kind}_{base}"] = Row(
                f"{kind}, {unit}: {matrices}, {f'skip {skip}' if skip else 'no skip'}", flags
            )
    return rows


_SMALL = {
    "preset": "paper",
    "dataset": "imdb",
    "max_train_examples": 5000,
    "max_tokens": 200,
    "max_epochs": 5,
    **MIXTURE,
}


def _skims(reads: int, jumps: int) -> Row:
    flags = {"preset": "jump", "test_reads": reads, "test_jumps": jumps}
    return Row(f"Jump LSTM, {jumps} rounds of {reads} words", flags)


SENTIMENT = {
    "skimming_small": Table(
        "Reading with jumps, IMDB, small scale (5,000 training reviews, 200 tokens, 5 epochs): "
        "accuracy and words read (%)",
        "Sentiment",
        (
            ("test_accuracy_sampled", "accuracy, sampled", 2, 100.0),
            ("test_accuracy_greedy", "accuracy, greedy", 2, 100.0),
            ("test_share_read_greedy", "words read, greedy", 1, 100.0),
        ),
        {
            "lstm": Row(
                "LSTM, its last output",
                {"cell": "lstm", "pooling": "last"},
                of="imdb_small/lstm_last",
            ),
            "jump_20_5": _skims(20, 5),
            "jump_40_5": _skims(40, 5),
            "jump_80_8": Row(
                "Jump LSTM, 8 rounds of 80 words", {"preset": "jump"}, of="imdb_small/jump_lstm"
            ),
        },
        {**_SMALL, "eval_samples": 1},
        data="imdb",
        vectors=_WORD2VEC,
        hours=0.2,
        note=_WORD2VEC_NOTE,
    ),
    "imdb_small": Table(
        "Sentiment, IMDB, small scale (5,000 training reviews, 200 tokens, 5 epochs): accuracy (%)",
        "Sentiment",
        ACCURACY,
        {**without_paper(_IMDB_ROWS), **_IMDB_TRIAL, **_TEN_STATES},
        _SMALL,
        data="imdb",
        vectors=_WORD2VEC,
        hours=0.5,
        note=_WORD2VEC_NOTE,
    ),
    # the mean of the outputs has a short way back to every word, the last output has none
    "imdb_last_small": Table(
        "Sentiment, IMDB, small scale, the last output in place of the mean: accuracy (%)",
        "Sentiment",
        ACCURACY[:3],
        {
            "lstm": Row(LSTM, {"cell": "lstm", "pooling": "last"}, of="imdb_small/lstm_last"),
            "random_skip": Row("random skips, K = 3, lamda 0.5 (control)", {"cell": "random_skip"}),
            "attention": Row(f"{ATTENTION}, lamda 0.5", {"cell": "attention", "lamda": 0.5}),
            "dynamic_skip": Row("dynamic skips, K = 3, lamda 0.5", {}),
            "straight_through": Row(
                "dynamic skips, K = 3, lamda 0.5, straight-through",
                {"estimator": "straight_through"},
            ),
            **_TEN_STATES,
        },
        {**_SMALL, "pooling": "last", "eval_samples": 1},
        data="imdb",
        vectors=_WORD2VEC,
        hours=0.2,
        seeds=5,
        note=(
            "Two seeds were added to three, which had left straight-through, K = 10, at +1.45 "
            f"[-1.11, +4.02] of the LSTM. {_WORD2VEC_NOTE}"
        ),
    ),
    "imdb_tuned_small": Table(
        "Sentiment, IMDB, small scale, rate and dropout chosen on dev for each row: accuracy (%)",
        "Sentiment",
        ACCURACY[:3],
        tuned(_TUNED_ROWS, _GRID, of="imdb_small"),
        {**_SMALL, "eval_samples": 1},
        data="imdb",
        vectors=_WORD2VEC,
        hours=0.1,
        seeds=5,
        note=f"{tuned_note(_GRID)} {_WORD2VEC_NOTE}",
        tuned=True,
    ),
    "imdb": Table(
        "Sentiment, IMDB: accuracy (%)",
        "Sentiment",
        ACCURACY,
        {**_IMDB_ROWS, CONTROL: _IMDB_TRIAL[CONTROL]},
        {"preset": "paper", "dataset": "imdb", **MIXTURE},
        data="imdb",
        vectors=_WORD2VEC,
        hours=0.4,
        note=_WORD2VEC_NOTE,
    ),
    "sst5": Table(
        "Sentiment, SST, five classes: accuracy (%)",
        "Sentiment",
        ACCURACY,
        _sst_rows(),
        {"preset": "sst", **MIXTURE},
        data="sst",
        vectors=_WORD2VEC,
        hours=0.02,
        note=_WORD2VEC_NOTE,
    ),
}
