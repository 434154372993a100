"""The loss of BERT's pretraining (Devlin et al., 2019, section 3.1 and appendix A.2).

"The training loss is the sum of the mean masked LM likelihood and the mean next sentence prediction likelihood."
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make


def bert_pretraining_loss(mlm_logits: Tensor, nsp_logits: Tensor, mlm_labels: Tensor, nsp_labels: Tensor) -> Tensor:
    """The mean cost of the hidden words plus the mean cost of the next-sentence answers.

        loss = mean over the places with a label of  -log softmax(mlm_logits at the place)[label]
             + mean over the pairs with a label of   -log softmax(nsp_logits of the pair)[label]

    The two means are taken apart, each over its own labels: all labelled places of the batch count alike, whichever
    row they stand in. A label of -100 means in either that there is nothing to predict. A mean over nothing is 0.

    Args:
        mlm_logits: (batch, time, vocab_size), raw scores of any size, as large as ±1000.
        nsp_logits: (batch, 2), raw scores of "is the next" (class 0) and "is not" (class 1).
        mlm_labels: (batch, time), int64; the right id, or -100.
        nsp_labels: (batch,), int64; 0, 1 or -100.

    Returns:
        a scalar.
    """
    ### BEGIN SOLUTION
    costs = []
    for logits, labels in ((mlm_logits.flatten(0, 1), mlm_labels.flatten()), (nsp_logits, nsp_labels)):
        total = F.cross_entropy(logits, labels, reduction="sum")  # leaves out -100 by itself
        costs.append(total / (labels != -100).sum().clamp(min=1))
    return costs[0] + costs[1]
    ### END SOLUTION


exercise = Exercise(
    bert_pretraining_loss,
    points=3,
    objectives=["4.2"],
    title_en="The loss of BERT's pretraining",
    title_ja="BERT の事前学習の損失",
    equivalent={
        "costs.append(total / (labels > -100).sum().clamp(min=1))": "-100 is the only label below 0",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def scored(make: Make, batch: int, time: int, size: int) -> dict[str, Tensor]:
    """Random scores and labels; row 0 has one label, the last row one fewer than all, the others every second one."""
    places, pairs = make.normal(batch, time, size), make.normal(batch, 2)
    mlm_labels, nsp_labels = make.integers(0, size, batch, time), make.integers(0, 2, batch)
    mlm_labels[0, 1:], mlm_labels[1:-1, ::2], mlm_labels[-1, 0] = -100, -100, -100
    return {"mlm_logits": places, "nsp_logits": pairs, "mlm_labels": mlm_labels, "nsp_labels": nsp_labels}


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, Tensor]:
    places = torch.zeros(2, 2, 4).double()
    places[0, 0, 0], places[1, 0, 3], places[1, 1, 1] = 2.0, 5.0, 3.0
    return {
        "mlm_logits": places,
        "nsp_logits": torch.tensor([[1.0, -1.0], [0.0, 1.0]]).double(),
        "mlm_labels": torch.tensor([[0, 2], [-100, 1]]),  # (0.341 + 1.386 + 0.139) / 3 = 0.622
        "nsp_labels": torch.tensor([0, 0]),  # (0.127 + 1.313) / 2 = 0.720, together 1.342
    }


@exercise.visible(en="rows with different numbers of labels", ja="行によってラベルの数が違う場合")
def _(make: Make) -> dict[str, Tensor]:
    return scored(make, 3, 4, 5)


@exercise.visible(en="no word is hidden", ja="隠された単語が一つもない場合")
def _(make: Make) -> dict[str, Tensor]:
    given = scored(make, 2, 3, 4)
    return {**given, "mlm_labels": torch.full((2, 3), -100)}


@exercise.hidden(en="a larger batch", ja="もっと大きなバッチ", weight=2)
def _(make: Make) -> dict[str, Tensor]:
    return scored(make, 5, 7, 6)


@exercise.hidden(en="pairs without a label", ja="ラベルのない対がある場合")
def _(make: Make) -> dict[str, Tensor]:
    given = scored(make, 5, 4, 7)
    return {**given, "nsp_labels": torch.tensor([1, -100, 0, -100, 1])}


@exercise.hidden(en="no word is hidden, in a longer batch", ja="隠された単語が一つもない、もっと長いバッチ")
def _(make: Make) -> dict[str, Tensor]:
    return {**scored(make, 3, 6, 5), "mlm_labels": torch.full((3, 6), -100)}


@exercise.hidden(en="no pair has a label", ja="ラベルのある対が一つもない場合")
def _(make: Make) -> dict[str, Tensor]:
    return {**scored(make, 3, 5, 4), "nsp_labels": torch.full((3,), -100)}


@exercise.hidden(
    en="scores as large as ±1000, and a single label of either kind",
    ja="±1000 ほどの大きなスコアで、ラベルが一つずつの場合",
)
def _(make: Make) -> dict[str, Tensor]:
    given = scored(make, 3, 4, 5)
    given["mlm_labels"][:], given["nsp_labels"][:] = -100, -100
    given["mlm_logits"][2, 1:] += torch.tensor([1000.0, -1000.0, 300.0, -50.0, 0.0])
    given["nsp_logits"][1] += torch.tensor([-1000.0, 800.0])
    given["mlm_labels"][2, 1], given["nsp_labels"][1] = 1, 0
    return given


@exercise.hidden(en="the gradients", ja="勾配", weight=2, gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    return scored(make, 4, 6, 7)


# -- wrong answers -----------------------------------------------------------------------------------------------------


def mean_cost(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over the labelled rows of logits (rows, classes); 0 over nothing."""
    return F.cross_entropy(logits, labels, reduction="sum") / (labels != -100).sum().clamp(min=1)


def words(mlm_logits: Tensor, mlm_labels: Tensor) -> Tensor:
    return mean_cost(mlm_logits.flatten(0, 1), mlm_labels.flatten())


@exercise.mistake(
    en="The next-sentence answers are left out.",
    ja="次文予測の損失が入っていません。",
    hint_en="Two of the four arguments are not used.",
    hint_ja="四つの引数のうち、使われていないものが二つあります。",
)
def words_only(mlm_logits: Tensor, nsp_logits: Tensor, mlm_labels: Tensor, nsp_labels: Tensor) -> Tensor:
    return words(mlm_logits, mlm_labels)


@exercise.mistake(
    en="The two means are averaged, not added.",
    ja="二つの平均を、足さずに平均しています。",
    hint_en="What does the plus sign of the formula ask for?",
    hint_ja="式のプラス記号は、何をすることを表していますか。",
)
def halved(mlm_logits: Tensor, nsp_logits: Tensor, mlm_labels: Tensor, nsp_labels: Tensor) -> Tensor:
    return (words(mlm_logits, mlm_labels) + mean_cost(nsp_logits, nsp_labels)) / 2


@exercise.mistake(
    en="All costs, of words and of pairs, are thrown into one mean.",
    ja="単語の損失と対の損失を、まとめて一つの平均にしています。",
    hint_en="A batch has far more hidden words than pairs. How much would a pair then weigh?",
    hint_ja="バッチには、対よりもはるかに多くの隠された単語があります。それでは、一つの対の重みはどうなるでしょうか。",
)
def one_mean(mlm_logits: Tensor, nsp_logits: Tensor, mlm_labels: Tensor, nsp_labels: Tensor) -> Tensor:
    total = F.cross_entropy(mlm_logits.flatten(0, 1), mlm_labels.flatten(), reduction="sum")
    total = total + F.cross_entropy(nsp_logits, nsp_labels, reduction="sum")
    return total / ((mlm_labels != -100).sum() + (nsp_labels != -100).sum()).clamp(min=1)


@exercise.mistake(
    en="The words' costs are divided by the number of all places, not of those with a label.",
    ja="単語の損失を、ラベルのある位置の数ではなく、すべての位置の数で割っています。",
    hint_en="Should the loss become smaller merely because the batch has more padding?",
    hint_ja="バッチのパディングが増えただけで、損失が小さくなってよいでしょうか。",
)
def divided_by_all_places(mlm_logits: Tensor, nsp_logits: Tensor, mlm_labels: Tensor, nsp_labels: Tensor) -> Tensor:
    total = F.cross_entropy(mlm_logits.flatten(0, 1), mlm_labels.flatten(), reduction="sum")
    return total / mlm_labels.numel() + mean_cost(nsp_logits, nsp_labels)


@exercise.mistake(
    en="Where nothing has a label, the loss is nan: 0 is divided by 0.",
    ja="ラベルが一つもないとき、0 を 0 で割って損失が nan になっています。",
    hint_en="What is the mean of F.cross_entropy when every label is -100? What keeps a divisor away from 0?",
    hint_ja="ラベルがすべて -100 のとき、F.cross_entropy の平均はどうなりますか。"
    "割る数が 0 にならないようにするには、どうすればよいでしょうか。",
)
def nan_over_nothing(mlm_logits: Tensor, nsp_logits: Tensor, mlm_labels: Tensor, nsp_labels: Tensor) -> Tensor:
    return F.cross_entropy(mlm_logits.transpose(1, 2), mlm_labels) + F.cross_entropy(nsp_logits, nsp_labels)


@exercise.mistake(
    en="The softmax is taken twice: F.cross_entropy and nn.CrossEntropyLoss take raw scores.",
    ja="ソフトマックスを二重にとっています。F.cross_entropy や nn.CrossEntropyLoss には、スコアをそのまま渡します。",
    hint_en="Which softmax is already inside the function that you call?",
    hint_ja="呼び出している関数の中に、ソフトマックスがすでに入っていませんか。",
)
def softmax_twice(mlm_logits: Tensor, nsp_logits: Tensor, mlm_labels: Tensor, nsp_labels: Tensor) -> Tensor:
    return words(mlm_logits.softmax(dim=-1), mlm_labels) + mean_cost(nsp_logits.softmax(dim=-1), nsp_labels)


@exercise.mistake(
    en="The classes of the next-sentence task are exchanged: 0 is taken for 'is not the next'.",
    ja="次文予測のクラスが逆です。0 を「次の文ではない」と見なしています。",
    hint_en="Which class does the docstring say that a real continuation has?",
    hint_ja="docstring によれば、本当の続きの文のクラスはどちらですか。",
)
def classes_exchanged(mlm_logits: Tensor, nsp_logits: Tensor, mlm_labels: Tensor, nsp_labels: Tensor) -> Tensor:
    return words(mlm_logits, mlm_labels) + mean_cost(nsp_logits.flip(1), nsp_labels)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def only_what_is_there(mlm_logits: Tensor, nsp_logits: Tensor, mlm_labels: Tensor, nsp_labels: Tensor) -> Tensor:
    """Labelled places first, then PyTorch's own mean, where there is one."""
    loss = (mlm_logits.sum() + nsp_logits.sum()) * 0
    for logits, labels in ((mlm_logits, mlm_labels), (nsp_logits, nsp_labels)):
        kept = labels >= 0
        if kept.any():
            loss = loss + nn.CrossEntropyLoss()(logits[kept], labels[kept])
    return loss


@exercise.accepted
def with_gather(mlm_logits: Tensor, nsp_logits: Tensor, mlm_labels: Tensor, nsp_labels: Tensor) -> Tensor:
    """log_softmax and an index; a label of -100 looks at class 0 and is masked afterwards."""

    def mean(logits: Tensor, labels: Tensor) -> Tensor:
        kept = labels.ne(-100)
        picked = logits.log_softmax(-1).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return -torch.where(kept, picked, 0).sum() / max(int(kept.sum()), 1)

    return mean(mlm_logits, mlm_labels) + mean(nsp_logits, nsp_labels)


@exercise.accepted
def one_by_one(mlm_logits: Tensor, nsp_logits: Tensor, mlm_labels: Tensor, nsp_labels: Tensor) -> Tensor:
    costs: tuple[list[Tensor], list[Tensor]] = ([], [])
    for row in range(len(nsp_labels)):
        if nsp_labels[row] != -100:
            costs[1].append(nsp_logits[row].logsumexp(0) - nsp_logits[row, nsp_labels[row]])
        for scores, label in zip(mlm_logits[row], mlm_labels[row].tolist(), strict=True):
            if label != -100:
                costs[0].append(scores.logsumexp(0) - scores[label])
    return sum((torch.stack(found).mean() for found in costs if found), mlm_logits.new_zeros(()))
