"""The loss of a reward model (Bradley and Terry, 1952; Ouyang et al., 2022, section 3.5, equation 1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def reward_model_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """The mean negative log-probability that the Bradley-Terry model gives to what people have chosen.

        loss of a pair = -log sigmoid(chosen - rejected)

    Args:
        chosen: (batch,), the rewards of the answers that were preferred.
        rejected: (batch,), the rewards of the other answer of each pair. The two may differ by ±10,000: neither the
            loss nor its gradient may then become inf or nan.

    Returns:
        a scalar, the mean over the pairs; there is at least one.
    """
    ### BEGIN SOLUTION
    loss = -F.logsigmoid(chosen - rejected).mean()
    ### END SOLUTION
    return loss


exercise = Exercise(
    reward_model_loss,
    points=2,
    objectives=["5.5"],
    title_en="The loss of a reward model",
    title_ja="報酬モデルの損失",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def pairs(make: Make, count: int) -> dict[str, Tensor]:
    return {"chosen": make.normal(count) + 0.4, "rejected": make.normal(count)}


@exercise.visible(en="the two pairs worked by hand in the text", ja="本文で手計算した二つのペア")
def _(make: Make) -> dict[str, Tensor]:
    chosen, rejected = torch.tensor([2.0, 0.5]), torch.tensor([1.0, 1.5])
    return {"chosen": chosen.double(), "rejected": rejected.double()}  # (0.313 + 1.313) / 2 = 0.813


@exercise.visible(en="a batch of five pairs", ja="五つのペア")
def _(make: Make) -> dict[str, Tensor]:
    return pairs(make, 5)


@exercise.visible(en="rewards 10,000 apart", ja="報酬が 10,000 離れている場合")
def _(make: Make) -> dict[str, Tensor]:
    return {"chosen": torch.tensor([1e4, -3.0]).double(), "rejected": torch.tensor([0.0, 9997.0]).double()}


@exercise.hidden(en="a larger batch", ja="もっと大きなバッチ", weight=2)
def _(make: Make) -> dict[str, Tensor]:
    return pairs(make, 13)


@exercise.hidden(en="rewards up to 10,000 apart", ja="報酬が最大 10,000 離れている場合")
def _(make: Make) -> dict[str, Tensor]:
    apart = torch.tensor([1e4, -1e4, 300.0, -800.0, 0.0]).double()
    rejected = make.normal(5)
    return {"chosen": rejected + apart, "rejected": rejected}


@exercise.hidden(en="the gradient", ja="勾配", gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    return pairs(make, 7)


@exercise.hidden(en="the gradient, far apart", ja="大きく離れているときの勾配", weight=0.5, gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    rejected = make.normal(4)
    return {"chosen": rejected + torch.tensor([5000.0, -5000.0, 1.5, -9000.0]).double(), "rejected": rejected}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The two answers are exchanged: the rejected one is taught to have the higher reward.",
    ja="二つの答えが入れ替わっています。選ばれなかったほうの報酬が高くなるように学習してしまいます。",
    hint_en="Which of the two rewards should rise when the loss falls?",
    hint_ja="損失が下がるとき、上がるべき報酬はどちらですか。",
)
def exchanged(chosen: Tensor, rejected: Tensor) -> Tensor:
    return -F.logsigmoid(rejected - chosen).mean()


@exercise.mistake(
    en="The sigmoid is computed first and its logarithm then: far apart it has underflowed to 0, and the loss is inf.",
    ja="先にシグモイドを求めてから対数をとっています。差が大きいとアンダーフローで 0 になり、損失が inf になります。",
    hint_en="For a difference of -800 the loss is about 800, an ordinary number. Which function takes both steps at "
    "once?",
    hint_ja="差が -800 のとき、損失は約 800 というごく普通の数です。二つの計算を一度に行う関数はどれでしょうか。",
)
def log_of_sigmoid(chosen: Tensor, rejected: Tensor) -> Tensor:
    return -torch.sigmoid(chosen - rejected).log().mean()


@exercise.mistake(
    en="The differences are averaged first, and the loss is taken of their mean.",
    ja="先に差を平均し、その平均の損失をとっています。",
    hint_en="Does a pair that is clearly right make up for one that is clearly wrong? Which is applied first, the "
    "logarithm or the mean?",
    hint_ja="はっきり正しいペアがあれば、はっきり間違ったペアは帳消しになりますか。対数と平均、先にとるのはどちらですか。",
)
def loss_of_the_mean(chosen: Tensor, rejected: Tensor) -> Tensor:
    return -F.logsigmoid((chosen - rejected).mean())


@exercise.mistake(
    en="The losses are added up, not averaged.",
    ja="損失を、平均せずに合計しています。",
    hint_en="Should the loss double when the batch holds every pair twice?",
    hint_ja="同じペアを 2 回ずつ入れたバッチでは、損失も 2 倍になるべきでしょうか。",
)
def added_up(chosen: Tensor, rejected: Tensor) -> Tensor:
    return -F.logsigmoid(chosen - rejected).sum()


@exercise.mistake(
    en="Each reward goes through a sigmoid of its own, as if one answer were right and the other wrong.",
    ja="報酬を一つずつシグモイドに通しています。一方が正解、もう一方が不正解であるかのような扱いです。",
    hint_en="People were asked which of two is better, not whether one is good. Does the loss change if 5 is added to "
    "both rewards of a pair?",
    hint_ja="人に尋ねたのは、二つのどちらがよいかであって、よいか悪いかではありません。"
    "ペアの両方の報酬に 5 を足すと、損失は変わるべきでしょうか。",
)
def each_for_itself(chosen: Tensor, rejected: Tensor) -> Tensor:
    return -(F.logsigmoid(chosen) + F.logsigmoid(-rejected)).mean()


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_softplus(chosen: Tensor, rejected: Tensor) -> Tensor:
    return F.softplus(rejected - chosen).sum() / chosen.numel()


@exercise.accepted
def as_classification(chosen: Tensor, rejected: Tensor) -> Tensor:
    """A choice between two classes, the first of which is right."""
    target = torch.zeros(len(chosen), dtype=torch.long, device=chosen.device)
    return F.cross_entropy(torch.stack([chosen, rejected], dim=1), target)


@exercise.accepted
def with_binary_cross_entropy(chosen: Tensor, rejected: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(chosen - rejected, torch.ones_like(chosen))


@exercise.accepted
def pair_by_pair(chosen: Tensor, rejected: Tensor) -> Tensor:
    losses = []
    for better, worse in zip(chosen, rejected, strict=True):
        losses.append(torch.logaddexp(torch.zeros_like(better), worse - better))
    return torch.stack(losses).mean()
