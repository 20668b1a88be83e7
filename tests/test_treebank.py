"""Words as the Penn Treebank splits them: by hand, and text of the corpora, which is split already,
stays as it is.
"""

import pytest

from common.data.treebank import split_words
from NER.reader import read_conll
from Sentiment.reader import load, split_text


@pytest.mark.parametrize(
    "line, words",
    [
        ('"Smith\'s U.N. speech (in Rome)."', '" Smith \'s U.N. speech ( in Rome ) . "'),
        ("He didn't go, did he?", "He did n't go , did he ?"),
        (
            "I'm here; THEY'LL come, won’t they've?!",
            "I 'm here ; THEY 'LL come , wo n’t they 've ? !",
        ),
        (
            "On 3.5.1999 Rolls-Royce -- in O'Neill's 'View' -- rose 0.5 percent ...",
            "On 3.5.1999 Rolls-Royce -- in O'Neill 's ' View ' -- rose 0.5 percent ...",
        ),
        ("wait... the dogs' house", "wait ... the dogs ' house"),
        (
            "Let 'em play 'n' sing the '60s, '70s 'til we're deaf: 'no', 'nay'.",
            "Let 'em play 'n' sing the '60s , '70s 'til we 're deaf : ' no ' , ' nay ' .",
        ),
        ("  ", ""),
        (".", "."),
    ],
)
def test_by_hand(line, words):
    assert split_words(line) == words.split()
    assert split_words(words) == words.split()


def test_as_each_data_set_writes_them():
    line = '"It\'s <br />GOOD," he didn’t say...'
    assert split_text(line, "imdb", 400) == '" it\'s good , " he didn’t say . . .'.split()
    assert (
        split_text(line.replace("<br />", ""), "sst5", 400)
        == "`` it 's good , '' he did n't say ...".split()
    )
    assert split_text(line, "imdb", 3) == [".", ".", "."]


def test_text_of_the_corpora_stays_as_it_is(data_dir):
    sentences = read_conll(data_dir / "conll2003/eng.testb")
    changed = [s.words for s in sentences if split_words(" ".join(s.words)) != list(s.words)]
    # "3.40s." and "53.04)." end sentences as one word
    assert len(sentences) == 3453 and len(changed) <= 2
    for dataset in ("sst2", "sst5"):
        texts = [e.words for e in load(dataset, data_dir).test]
        changed = [words for words in texts if split_text(" ".join(words), dataset, 400) != words]
        assert len(texts) > 1800 and len(changed) <= 2  # ol'
