"""What the adapter has to beat: fitted on the same training pairs, both ways, and asked the same questions.

    majority  the more frequent class; the classes are balanced, so it is right in one of the two ways of every pair
    length    logistic regression on how much longer the second passage is
    bag       logistic regression on the difference of two TF-IDF bags of words and word pairs

Everything is scikit-learn. The strength of the bag's penalty is chosen on validation pairs, so that it is a fair rival.
Without an intercept and on both ways, all of them change their sign with the order, as the adapter does.

Shapes: P pairs, K n-grams of the training passages.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.directional_adapter.examples import Pairs

Scores = NDArray[np.float64]
Scorer = Callable[[Pairs], Scores]
"""[P] scores of "the first passage comes first"; 0 cannot tell."""

BAG_PENALTIES = (0.5, 2.0, 8.0)
"""Inverse strengths of the penalty that are tried."""

LENGTH_PENALTY = 1.0


def majority() -> Scorer:
    """Always the same class. Every training pair is there both ways, so neither class is the more frequent one."""
    return lambda pairs: np.ones(len(pairs))


def length(training: Pairs) -> Scorer:
    """Which passage has more words."""
    model = _fitted(_longer(training), LENGTH_PENALTY)
    return lambda pairs: _decided(model, _longer(pairs))


def bag(training: Pairs, validation: Pairs) -> Scorer:
    """Which words and word pairs stand in which passage. Raises ValueError where no n-gram stands in two passages."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    vectorizer.fit([*training.first, *training.second])

    def features(pairs: Pairs) -> Any:
        return (vectorizer.transform(pairs.second) - vectorizer.transform(pairs.first)).tocsr()

    training_PK, validation_PK = features(training), features(validation)
    models = [_fitted(training_PK, penalty) for penalty in BAG_PENALTIES]
    losses = [float(np.logaddexp(0.0, -_decided(model, validation_PK)).mean()) for model in models]
    best = models[int(np.argmin(losses))]
    return lambda pairs: _decided(best, features(pairs))


def _longer(pairs: Pairs) -> NDArray[np.float64]:
    """[P, 1] logarithm of the ratio of their words."""
    return (_log_words(pairs.second) - _log_words(pairs.first))[:, None]


def _log_words(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.log([max(1, len(text.split())) for text in texts])


def _fitted(features_PK: Any, penalty: float) -> Any:
    """Logistic regression on both ways of every pair."""
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    stack = sparse.vstack if sparse.issparse(features_PK) else np.concatenate
    both = stack([features_PK, -features_PK])
    label = np.repeat([1, 0], features_PK.shape[0])
    return LogisticRegression(C=penalty, fit_intercept=False, max_iter=1000).fit(both, label)


def _decided(model: Any, features_PK: Any) -> Scores:
    return np.asarray(model.decision_function(features_PK), dtype=np.float64)
