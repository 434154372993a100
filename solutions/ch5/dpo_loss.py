"""Direct preference optimisation (Rafailov et al., 2023, section 4, equation 7)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def dpo_loss(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """The DPO loss of a batch of preference pairs, and by how much the policy prefers the chosen answers.

        implicit reward of an answer = beta · (log-probability under the policy - under the reference)
        margin of a pair             = implicit reward of the chosen answer - that of the rejected one
        loss of a pair               = -log sigmoid(margin)

    Args:
        policy_chosen, policy_rejected: (batch,), the log-probability of each whole answer, given its prompt, under the
            model that is trained. Answers may be long: ±10,000 must not lead to inf or nan.
        reference_chosen, reference_rejected: (batch,), the same under the model where training began. They are
            constants (the first line sees to it).
        beta: how dear it is to depart from the reference, above 0.

    Returns:
        loss: a scalar, the mean over the pairs; there is at least one.
        margin: (batch,), for a look at the training; no gradient flows through it (the last line sees to it).
    """
    reference_chosen, reference_rejected = reference_chosen.detach(), reference_rejected.detach()
    ### BEGIN SOLUTION
    chosen_reward = beta * (policy_chosen - reference_chosen)
    rejected_reward = beta * (policy_rejected - reference_rejected)
    margin = chosen_reward - rejected_reward
    loss = -F.logsigmoid(margin).mean()
    ### END SOLUTION
    return loss, margin.detach()


exercise = Exercise(
    dpo_loss,
    points=3,
    objectives=["5.5"],
    title_en="The loss of direct preference optimisation",
    title_ja="DPO の損失",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def answers(make: Make, count: int, beta: float, scale: float = 1.5) -> dict[str, object]:
    """Log-probabilities of so many pairs; the policy has moved a little from the reference, in both directions."""
    chosen, rejected = -make.uniform(count, low=4.0, high=20.0), -make.uniform(count, low=4.0, high=20.0)
    return {
        "policy_chosen": chosen + make.normal(count, scale=scale) + 0.5,
        "policy_rejected": rejected + make.normal(count, scale=scale) - 0.3,
        "reference_chosen": chosen,
        "reference_rejected": rejected,
        "beta": beta,
    }


@exercise.visible(en="the two pairs worked by hand in the text", ja="本文で手計算した二つのペア")
def _(make: Make) -> dict[str, object]:
    table = torch.tensor([[-10.0, -12.0], [-11.0, -14.0], [-12.0, -11.0], [-9.0, -15.0]], dtype=torch.float64)
    policy_chosen, policy_rejected, reference_chosen, reference_rejected = table
    return {
        "policy_chosen": policy_chosen,
        "policy_rejected": policy_rejected,
        "reference_chosen": reference_chosen,
        "reference_rejected": reference_rejected,
        "beta": 0.5,
    }


@exercise.visible(en="a batch of four pairs", ja="四つのペア")
def _(make: Make) -> dict[str, object]:
    return answers(make, 4, beta=0.2)


@exercise.visible(
    en="a pair that the policy sees as the reference does, and one of very long answers",
    ja="方策が参照モデルと変わらないペアと、非常に長い答えのペア",
)
def _(make: Make) -> dict[str, object]:
    return {
        "policy_chosen": torch.tensor([-7.0, -6000.0]).double(),
        "policy_rejected": torch.tensor([-5.0, -900.0]).double(),
        "reference_chosen": torch.tensor([-7.0, -2000.0]).double(),
        "reference_rejected": torch.tensor([-5.0, -1000.0]).double(),
        "beta": 0.4,
    }


@exercise.hidden(en="a larger batch", ja="もっと大きなバッチ", weight=2)
def _(make: Make) -> dict[str, object]:
    return answers(make, 11, beta=0.7)


@exercise.hidden(en="very long answers", ja="非常に長い答え", weight=0.5)
def _(make: Make) -> dict[str, object]:
    apart = torch.tensor([9000.0, -9000.0, 40.0, -2000.0]).double()
    given = answers(make, 4, beta=0.9)
    return given | {"policy_rejected": given["policy_rejected"] - apart}


@exercise.hidden(en="the gradient", ja="勾配", gradients=True)
def _(make: Make) -> dict[str, object]:
    return answers(make, 6, beta=0.3)


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The reference is left out: the loss asks only which answer the policy finds likelier.",
    ja="参照モデルが使われていません。方策にとってどちらの答えの確率が高いかだけを見る損失になっています。",
    hint_en="A short answer is likelier than a long one under any model. Against what is the policy to be measured?",
    hint_ja="どんなモデルでも、短い答えは長い答えより確率が高くなりがちです。方策は何と比べて測るべきでしょうか。",
)
def without_reference(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    margin = beta * (policy_chosen - policy_rejected)
    return -F.logsigmoid(margin).mean(), margin.detach()


@exercise.mistake(
    en="Chosen and rejected are exchanged.",
    ja="選ばれた答えと選ばれなかった答えが入れ替わっています。",
    hint_en="Should the margin be above or below 0 once the policy has learnt the preference?",
    hint_ja="方策が好みを学び終えたとき、マージンは 0 より上ですか、下ですか。",
)
def exchanged(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    margin = beta * ((policy_rejected - reference_rejected) - (policy_chosen - reference_chosen))
    return -F.logsigmoid(margin).mean(), margin.detach()


@exercise.mistake(
    en="The reference is added where it should be subtracted.",
    ja="参照モデルの対数確率を、引くべきところで足しています。",
    hint_en="What should both implicit rewards be at the start, when the policy is the reference?",
    hint_ja="学習のはじめ、方策が参照モデルと同じとき、二つの暗黙の報酬はいくつになるはずですか。",
)
def reference_added(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    margin = beta * ((policy_chosen + reference_chosen) - (policy_rejected + reference_rejected))
    return -F.logsigmoid(margin).mean(), margin.detach()


@exercise.mistake(
    en="beta is missing.",
    ja="beta が使われていません。",
    hint_en="Which argument do you not use, and where does it stand in the implicit reward?",
    hint_ja="まだ使っていない引数はどれですか。暗黙の報酬の式では、どこにありますか。",
)
def without_beta(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    margin = (policy_chosen - reference_chosen) - (policy_rejected - reference_rejected)
    return -F.logsigmoid(margin).mean(), margin.detach()


@exercise.mistake(
    en="beta multiplies the loss, not the margin.",
    ja="beta を、マージンではなく損失に掛けています。",
    hint_en="A factor before the loss only changes the learning rate. Is it inside or outside of the sigmoid?",
    hint_ja="損失の前の係数は、学習率を変えるだけです。beta はシグモイドの内側にありますか、外側にありますか。",
)
def beta_outside(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    margin = (policy_chosen - reference_chosen) - (policy_rejected - reference_rejected)
    return -beta * F.logsigmoid(margin).mean(), margin.detach()


@exercise.mistake(
    en="The sigmoid is computed first and its logarithm then: with long answers the loss becomes inf.",
    ja="先にシグモイドを求めてから対数をとっています。長い答えでは損失が inf になります。",
    hint_en="The sigmoid of -2000 is 0 to a computer, but its logarithm is -2000. Which function takes both steps at "
    "once?",
    hint_ja="-2000 のシグモイドは計算機では 0 になりますが、その対数は -2000 です。"
    "二つの計算を一度に行う関数はどれでしょうか。",
)
def log_of_sigmoid(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    margin = beta * ((policy_chosen - reference_chosen) - (policy_rejected - reference_rejected))
    return -torch.sigmoid(margin).log().mean(), margin.detach()


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def ratio_of_ratios(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """Each model's own preference first, then their difference."""
    policy, reference = policy_chosen - policy_rejected, (reference_chosen - reference_rejected).detach()
    margin = beta * policy - beta * reference
    return F.softplus(-margin).mean(), margin.detach()


@exercise.accepted
def as_classification(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """A choice between two classes, whose scores are the implicit rewards."""
    policy = torch.stack([policy_chosen, policy_rejected], dim=1)
    with torch.no_grad():
        reference = torch.stack([reference_chosen, reference_rejected], dim=1)
    rewards = (policy - reference).mul(beta)
    loss = F.cross_entropy(rewards, torch.zeros(len(rewards), dtype=torch.long, device=rewards.device))
    return loss, -rewards.diff(dim=1).squeeze(1).detach()


@exercise.accepted
def pair_by_pair(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    losses, margins = [], []
    for index in range(len(policy_chosen)):
        chosen = beta * (policy_chosen[index] - reference_chosen[index].detach())
        rejected = beta * (policy_rejected[index] - reference_rejected[index].detach())
        losses.append(torch.logaddexp(torch.zeros_like(chosen), rejected - chosen))
        margins.append((chosen - rejected).detach())
    return torch.stack(losses).mean(), torch.stack(margins)
