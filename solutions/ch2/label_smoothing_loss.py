"""Cross-entropy with label smoothing (Szegedy et al., 2016, section 7; Vaswani et al., 2017, section 5.4)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def label_smoothing_loss(logits: Tensor, target: Tensor, epsilon: float, pad_id: int) -> Tensor:
    """Cross-entropy against targets that leave a little probability to every class, averaged over the real tokens.

        q_k = (1 - epsilon) · [k = y] + epsilon / V        for all V classes k, the right one y included
        loss of a token = - Σ_k q_k · log p_k              with p = softmax(logits)

    Args:
        logits: (batch, time, V), raw scores of any size.
        target: (batch, time), the right class y of every token. Where it is pad_id the place is padding: it adds
            nothing to the loss, and it is not counted.
        epsilon: how much probability is shared out, 0 to below 1. The padding class gets its share like all others.
        pad_id: the id of padding.

    Returns:
        a scalar: the mean over the tokens that are not padding, and 0 (not nan) where all of them are.
    """
    ### BEGIN SOLUTION
    keep = target != pad_id
    log_probs = F.log_softmax(logits[keep], dim=1)  # (kept, V): padding is gone before anything is computed
    right = log_probs.gather(1, target[keep].unsqueeze(1)).squeeze(1)
    losses = -(1 - epsilon) * right - epsilon * log_probs.mean(dim=1)
    return losses.sum() / max(len(losses), 1)
    ### END SOLUTION


exercise = Exercise(
    label_smoothing_loss,
    points=3,
    objectives=["2.1"],
    title_en="Label smoothing",
    title_ja="ラベルスムージング",
    equivalent={
        "losses = -(1 - epsilon) * right - epsilon * log_probs.mean()": "the mean of all entries, taken once for each "
        "token, adds up to the same sum",
        "log_probs = F.log_softmax(logits[keep])": "for two dimensions PyTorch takes the last one, with a warning",
    },
)


# A smoothed target is often made in single precision, which is right.
SINGLE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


# -- cases -------------------------------------------------------------------------------------------------------------


def sentences(make: Make, lengths: list[int], classes: int, pad_id: int) -> tuple[Tensor, Tensor]:
    """Logits, and targets of which so many in each row are real and the last one at least is padding."""
    time = max(lengths) + 1
    target = make.integers(0, classes - 1, len(lengths), time)
    target += target >= pad_id  # any class but padding
    target[torch.arange(time) >= torch.tensor(lengths)[:, None]] = pad_id
    return make.normal(len(lengths), time, classes), target


@exercise.visible(
    en="the token worked by hand in the text, and a place of padding", ja="本文で手計算したトークンとパディング一つ"
)
def _(make: Make) -> dict[str, object]:
    logits = torch.tensor([[[1.0, 1 / 2, 1 / 4, 1 / 4], [3.0, 1.0, 4.0, 1.0]]], dtype=torch.float64).log()
    return {"logits": logits, "target": torch.tensor([[0, 3]]), "epsilon": 0.2, "pad_id": 3}


@exercise.visible(en="three sentences of different lengths", ja="長さの違う三つの文")
def _(make: Make) -> dict[str, object]:
    logits, target = sentences(make, [4, 1, 2], classes=6, pad_id=0)
    return {"logits": logits, "target": target, "epsilon": 0.1, "pad_id": 0}


@exercise.visible(en="nothing but padding", ja="すべてがパディングの場合")
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(2, 3, 5), "target": torch.full((2, 3), 4), "epsilon": 0.1, "pad_id": 4}


@exercise.hidden(
    en="more sentences, with another padding id", ja="文の数とパディングの id を変えて", weight=2, **SINGLE
)
def _(make: Make) -> dict[str, object]:
    logits, target = sentences(make, [2, 5, 1, 4], classes=7, pad_id=3)
    return {"logits": logits, "target": target, "epsilon": 0.3, "pad_id": 3}


@exercise.hidden(
    en="a single token, and very large scores", ja="トークンが一つだけで、スコアが非常に大きい場合", **SINGLE
)
def _(make: Make) -> dict[str, object]:
    target = torch.tensor([[1, 5, 1]])
    return {"logits": make.normal(1, 3, 8, scale=1e4), "target": target, "epsilon": 0.2, "pad_id": 1}


@exercise.hidden(en="padding only", ja="パディングだけの場合")
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(3, 2, 4), "target": torch.full((3, 2), 2), "epsilon": 0.1, "pad_id": 2}


@exercise.hidden(en="the gradient", ja="勾配", gradients=True, **SINGLE)
def _(make: Make) -> dict[str, object]:
    logits, target = sentences(make, [3, 1], classes=5, pad_id=4)
    return {"logits": logits, "target": target, "epsilon": 0.25, "pad_id": 4}


# -- mistakes ----------------------------------------------------------------------------------------------------------


def _of_tokens(logits: Tensor, target: Tensor, epsilon: float) -> Tensor:
    """The right loss of every token, padding or not, for the wrong answers to average."""
    losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), label_smoothing=epsilon, reduction="none")
    return losses.view(target.shape)


def _mean_of_kept(losses: Tensor, target: Tensor, pad_id: int) -> Tensor:
    keep = target != pad_id
    return losses[keep].sum() / max(int(keep.sum()), 1)


@exercise.mistake(
    en="epsilon is shared among the wrong classes only: each gets epsilon / (V - 1).",
    ja="epsilon を、正解以外のクラスだけに epsilon / (V - 1) ずつ分けています。",
    hint_en="Both definitions are in use. In the one of this course, what does the right class get besides "
    "1 - epsilon?",
    hint_ja="どちらの定義も使われています。この教材の定義では、正解のクラスは 1 - epsilon のほかに何を受け取りますか。",
)
def shared_among_the_wrong(logits: Tensor, target: Tensor, epsilon: float, pad_id: int) -> Tensor:
    log_probs = logits.log_softmax(dim=-1)
    right = log_probs.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    wrong = (log_probs.sum(dim=-1) - right) / (logits.size(-1) - 1)
    return _mean_of_kept(-(1 - epsilon) * right - epsilon * wrong, target, pad_id)


@exercise.mistake(
    en="Every class gets the whole epsilon: it is not divided by the number of classes.",
    ja="どのクラスにも epsilon をまるごと与えています。クラスの数で割っていません。",
    hint_en="Add up your q over all classes. What must a distribution sum to?",
    hint_ja="あなたの q をすべてのクラスについて足してみましょう。確率分布の和はいくつでなければなりませんか。",
)
def not_divided_by_the_classes(logits: Tensor, target: Tensor, epsilon: float, pad_id: int) -> Tensor:
    log_probs = logits.log_softmax(dim=-1)
    right = log_probs.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return _mean_of_kept(-(1 - epsilon) * right - epsilon * log_probs.sum(dim=-1), target, pad_id)


@exercise.mistake(
    en="Padding adds nothing to the sum, but it is counted in the mean.",
    ja="パディングは和には入っていませんが、平均をとるときの個数に数えられています。",
    hint_en="By how many tokens do you divide? Would the loss change if the batch were padded further?",
    hint_ja="いくつのトークンで割っていますか。パディングをさらに増やしたら、損失は変わってしまいませんか。",
)
def padding_counted(logits: Tensor, target: Tensor, epsilon: float, pad_id: int) -> Tensor:
    return (_of_tokens(logits, target, epsilon) * (target != pad_id)).mean()


@exercise.mistake(
    en="Padding is treated as a token like any other.",
    ja="パディングを、ほかのトークンと同じように扱っています。",
    hint_en="What should the model learn from a place that holds no word? Which argument do you not use?",
    hint_ja="単語のない場所から、モデルは何を学ぶべきでしょうか。まだ使っていない引数はどれですか。",
)
def padding_is_a_token(logits: Tensor, target: Tensor, epsilon: float, pad_id: int) -> Tensor:
    return _of_tokens(logits, target, epsilon).mean()


@exercise.mistake(
    en="The mean over nothing is nan.",
    ja="対象が一つもないときの平均が nan になっています。",
    hint_en="By what do you divide when every place is padding? F.cross_entropy's own mean does the same.",
    hint_ja="すべてがパディングのとき、何で割っていますか。F.cross_entropy の平均も同じ結果になります。",
)
def nan_over_nothing(logits: Tensor, target: Tensor, epsilon: float, pad_id: int) -> Tensor:
    flat = target.flatten()
    return F.cross_entropy(logits.flatten(0, 1), flat, label_smoothing=epsilon, ignore_index=pad_id)


@exercise.mistake(
    en="The logarithm is taken of a softmax that has underflowed to 0: the loss is infinite.",
    ja="アンダーフローして 0 になったソフトマックスの対数をとっているので、損失が無限大になっています。",
    hint_en="A smoothed loss looks at every class, the hopeless ones, too. Which function gives the logarithm without "
    "the detour?",
    hint_ja="平滑化した損失は、見込みのないクラスの確率も見ます。回り道をせずに対数を求める関数はどれでしょうか。",
)
def log_of_softmax(logits: Tensor, target: Tensor, epsilon: float, pad_id: int) -> Tensor:
    log_probs = logits.softmax(dim=-1).log()
    right = log_probs.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return _mean_of_kept(-(1 - epsilon) * right - epsilon * log_probs.mean(dim=-1), target, pad_id)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_torch_builtin(logits: Tensor, target: Tensor, epsilon: float, pad_id: int) -> Tensor:
    scores = logits.transpose(1, 2)  # the classes stand second there
    total = F.cross_entropy(scores, target, ignore_index=pad_id, reduction="sum", label_smoothing=epsilon)
    return total / (target != pad_id).sum().clamp(min=1)


@exercise.accepted
def with_the_whole_distribution(logits: Tensor, target: Tensor, epsilon: float, pad_id: int) -> Tensor:
    smooth = F.one_hot(target, logits.shape[-1]) * (1 - epsilon) + epsilon / logits.shape[-1]
    losses = torch.einsum("btv,btv->bt", smooth.to(logits), logits.logsumexp(-1, keepdim=True) - logits)
    losses = losses.masked_fill(target.eq(pad_id), 0.0)
    return losses.sum() / target.ne(pad_id).sum().clamp_min(1)


@exercise.accepted
def token_by_token(logits: Tensor, target: Tensor, epsilon: float, pad_id: int) -> Tensor:
    total, count = torch.zeros((), dtype=logits.dtype, device=logits.device), 0
    for scores, right in zip(logits.flatten(0, 1), target.flatten(), strict=True):
        if right != pad_id:
            soft = torch.full_like(scores, epsilon / len(scores))
            soft[right] += 1 - epsilon
            total, count = total + F.cross_entropy(scores, soft), count + 1
    return total / count if count else total
