"""Additive attention (Bahdanau, Cho and Bengio, 2015, section 3.1 and appendix A.1.2: equations 5 and 6)."""

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def additive_attention(
    query: Tensor, keys: Tensor, values: Tensor, w_query: Tensor, w_key: Tensor, w_score: Tensor
) -> tuple[Tensor, Tensor]:
    """Additive attention: a small network scores every key against the query, and the values are averaged.

        score_j = w_score · tanh(query w_query + key_j w_key)
        weights = softmax(scores),    output = Σ_j weights_j value_j

    Args:
        query: (batch, d_q), what the decoder is looking for now: one vector a sentence.
        keys: (batch, keys, d_k), one vector for each word of the source sentence.
        values: (batch, keys, d_v), what is mixed. In the paper keys and values are the same vectors; here they may
            differ.
        w_query: (d_q, h), w_key: (d_k, h) and w_score: (h,), the weights of the network (`x @ w`, no bias).

    Returns:
        output (batch, d_v) and weights (batch, keys). The weights of each sentence sum to 1.
    """
    ### BEGIN SOLUTION
    # One query meets every key of its sentence: the new dimension is where the keys go.
    hidden = torch.tanh((query @ w_query).unsqueeze(1) + keys @ w_key)  # (batch, keys, h)
    weights = torch.softmax(hidden @ w_score, dim=1)  # (batch, keys)
    output = (weights.unsqueeze(2) * values).sum(dim=1)  # (batch, d_v)
    ### END SOLUTION
    return output, weights


exercise = Exercise(
    additive_attention, points=3, objectives=["1.1"], title_en="Additive attention", title_ja="加法注意"
)


# -- cases -------------------------------------------------------------------------------------------------------------


def sentences(make: Make, batch: int, keys: int, d_q: int, d_k: int, d_v: int, h: int) -> dict[str, Tensor]:
    """Inputs of unit variance, and weights small enough that tanh does not saturate."""
    return {
        "query": make.normal(batch, d_q),
        "keys": make.normal(batch, keys, d_k),
        "values": make.normal(batch, keys, d_v),
        "w_query": make.normal(d_q, h, scale=0.4),
        "w_key": make.normal(d_k, h, scale=0.4),
        "w_score": make.normal(h),
    }


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, Tensor]:
    # tanh(2, 0) = (0.964, 0) and tanh(1, 1) = (0.762, 0.762): scores 0.964 and 0, weights 0.724 and 0.276,
    # output (7.24, 2.76).
    identity = torch.eye(2, dtype=torch.float64)
    return {
        "query": identity[:1],
        "keys": identity[None],
        "values": 10 * identity[None],
        "w_query": identity,
        "w_key": identity,
        "w_score": torch.tensor([1.0, -1.0], dtype=torch.float64),
    }


@exercise.visible(en="a batch of sentences", ja="文のバッチ")
def _(make: Make) -> dict[str, Tensor]:
    return sentences(make, batch=2, keys=5, d_q=4, d_k=3, d_v=6, h=7)


@exercise.hidden(en="a batch of sentences of other sizes", ja="別の大きさの文のバッチ", weight=2)
def _(make: Make) -> dict[str, Tensor]:
    return sentences(make, batch=3, keys=4, d_q=6, d_k=5, d_v=2, h=8)


@exercise.hidden(en="a batch of one sentence, and the gradients", ja="文が一つだけのバッチと、その勾配", gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    return sentences(make, batch=1, keys=6, d_q=3, d_k=4, d_v=5, h=7)


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The softmax runs over the batch instead of over the keys.",
    ja="ソフトマックスをキーの方向ではなく、バッチの方向にとっています。",
    hint_en="Which dimension lists the words of one sentence? The weights along it must sum to 1.",
    hint_ja="一つの文の単語が並んでいるのはどの次元でしょうか。その次元に沿った重みの和が 1 になるはずです。",
)
def softmax_over_the_batch(
    query: Tensor, keys: Tensor, values: Tensor, w_query: Tensor, w_key: Tensor, w_score: Tensor
) -> tuple[Tensor, Tensor]:
    hidden = torch.tanh((query @ w_query).unsqueeze(1) + keys @ w_key)
    weights = torch.softmax(hidden @ w_score, dim=0)
    return (weights.unsqueeze(2) * values).sum(dim=1), weights


@exercise.mistake(
    en="The tanh is missing.",
    ja="tanh が抜けています。",
    hint_en="Without tanh the query adds the same number to every score of its sentence. "
    "What does a softmax do with a number that is added to all of its inputs?",
    hint_ja="tanh がないと、クエリは同じ文のすべてのスコアに同じ値を足すだけになります。"
    "すべての入力に同じ値を足すと、ソフトマックスの結果はどうなるでしょうか。",
)
def no_tanh(
    query: Tensor, keys: Tensor, values: Tensor, w_query: Tensor, w_key: Tensor, w_score: Tensor
) -> tuple[Tensor, Tensor]:
    hidden = (query @ w_query).unsqueeze(1) + keys @ w_key
    weights = torch.softmax(hidden @ w_score, dim=1)
    return (weights.unsqueeze(2) * values).sum(dim=1), weights


@exercise.mistake(
    en="tanh is applied to the query's part and to the key's part separately, before they are added.",
    ja="クエリの項とキーの項を足す前に、それぞれ別々に tanh をかけています。",
    hint_en="Where does the bracket of tanh close in the formula? "
    "Query and key can only influence each other inside of it.",
    hint_ja="数式の tanh の括弧はどこで閉じていますか。クエリとキーが互いに影響し合えるのは、その括弧の中だけです。",
)
def tanh_before_the_sum(
    query: Tensor, keys: Tensor, values: Tensor, w_query: Tensor, w_key: Tensor, w_score: Tensor
) -> tuple[Tensor, Tensor]:
    hidden = torch.tanh(query @ w_query).unsqueeze(1) + torch.tanh(keys @ w_key)
    weights = torch.softmax(hidden @ w_score, dim=1)
    return (weights.unsqueeze(2) * values).sum(dim=1), weights


@exercise.mistake(
    en="The keys are mixed instead of the values.",
    ja="バリューではなくキーを混ぜ合わせています。",
    hint_en="The keys only decide the weights. What are the weights then applied to?",
    hint_ja="キーの役目は重みを決めることだけです。その重みは何にかけるのでしょうか。",
)
def keys_are_mixed(
    query: Tensor, keys: Tensor, values: Tensor, w_query: Tensor, w_key: Tensor, w_score: Tensor
) -> tuple[Tensor, Tensor]:
    hidden = torch.tanh((query @ w_query).unsqueeze(1) + keys @ w_key)
    weights = torch.softmax(hidden @ w_score, dim=1)
    return (weights.unsqueeze(2) * keys).sum(dim=1), weights


@exercise.mistake(
    en="squeeze() without a dimension also removes the batch when it holds a single sentence.",
    ja="次元を指定しない squeeze() は、文が一つしかないときにバッチの次元まで取り除いてしまいます。",
    hint_en="Say which dimension you want to remove. What is the shape of the output when the batch is 1?",
    hint_ja="取り除きたい次元を指定しましょう。バッチが 1 のとき、出力の形状はどうなりますか。",
)
def batch_squeezed_away(
    query: Tensor, keys: Tensor, values: Tensor, w_query: Tensor, w_key: Tensor, w_score: Tensor
) -> tuple[Tensor, Tensor]:
    hidden = torch.tanh((query @ w_query).unsqueeze(1) + keys @ w_key)
    weights = torch.softmax(hidden @ w_score, dim=1)
    return (weights.unsqueeze(1) @ values).squeeze(), weights


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_einsum(
    query: Tensor, keys: Tensor, values: Tensor, w_query: Tensor, w_key: Tensor, w_score: Tensor
) -> tuple[Tensor, Tensor]:
    from_query = torch.einsum("bq,qh->bh", query, w_query)[:, None, :]
    from_keys = torch.einsum("bjk,kh->bjh", keys, w_key)
    weights = torch.einsum("bjh,h->bj", (from_query + from_keys).tanh(), w_score).softmax(dim=-1)
    return torch.einsum("bj,bjv->bv", weights, values), weights


@exercise.accepted
def one_sentence_at_a_time(
    query: Tensor, keys: Tensor, values: Tensor, w_query: Tensor, w_key: Tensor, w_score: Tensor
) -> tuple[Tensor, Tensor]:
    outputs, weights = [], []
    for one_query, its_keys, its_values in zip(query, keys, values, strict=True):
        scores = torch.stack([torch.tanh(one_query @ w_query + key @ w_key) @ w_score for key in its_keys])
        weights.append(torch.softmax(scores, dim=0))
        outputs.append(weights[-1] @ its_values)
    return torch.stack(outputs), torch.stack(weights)
