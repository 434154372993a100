"""One step of training (Vaswani et al., 2017, section 5; clipping by the norm after Pascanu et al., 2013)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


def train_step(
    model: nn.Module,
    batch: tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    clip: float,
) -> float:
    """One optimisation step on one batch.

    The model is put in training mode, its gradients are cleared, the loss is computed and sent backwards, the gradients
    are clipped, the optimizer steps, and then the schedule.

    Args:
        model: called as model(source, inputs, source_mask, target_mask), it returns raw logits, (batch, time, vocab).
            It may come in evaluation mode, and may still hold the gradients of an earlier step.
        batch: source, inputs, labels and the pair of masks, as shift_right_batch makes them: the labels belong to the
            inputs as they stand, and are -100 where nothing is to be learned.
        optimizer: a torch.optim optimizer of the model's parameters.
        schedule: a torch.optim.lr_scheduler of this optimizer, which steps once for each step of the optimizer.
        clip: the largest norm that all gradients together may have. Larger ones are scaled down.

    Returns:
        the loss before the step, a float: the cross-entropy, averaged over the labels that are not -100.
    """
    source, inputs, labels, (source_mask, target_mask) = batch
    ### BEGIN SOLUTION
    model.train()
    optimizer.zero_grad()
    logits = model(source, inputs, source_mask, target_mask)
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())  # -100 is left out without being told
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    schedule.step()
    ### END SOLUTION
    return loss.item()


exercise = Exercise(
    train_step,
    points=5,
    objectives=["2.1"],
    title_en="One step of training",
    title_ja="学習の 1 ステップ",
)


# -- cases -------------------------------------------------------------------------------------------------------------

# Who clips by hand may leave out the millionth that PyTorch adds to the norm.
_NEAR: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}
_TINY = "autograder.course.seq2seq:tiny_seq2seq"
_OPTIMIZER = "autograder.recipes:optimizer"


def _batch(make: Make, vocabs: tuple[int, int], lengths: list[tuple[int, int]]) -> tuple[Any, ...]:
    """A batch of pairs whose lengths (source, inputs) are given, padded with 0."""
    longest = [max(each) for each in zip(*lengths, strict=True)]
    real = [
        torch.arange(time) < torch.tensor(each)[:, None]
        for time, each in zip(longest, zip(*lengths, strict=True), strict=True)
    ]
    source, inputs = (
        make.integers(3, vocab, len(lengths), time).where(kept, 0)
        for vocab, time, kept in zip(vocabs, longest, real, strict=True)
    )
    # Labels of their own, not the inputs one further on: whoever shifts again, or not at all, gets another loss.
    labels = make.integers(3, vocabs[1], *inputs.shape).where(real[1], -100)
    causal = torch.ones(longest[1], longest[1], dtype=torch.bool).tril()
    return source, inputs, labels, (real[0][:, None, None], causal & real[1][:, None, None])


def _first_step(make: Make, model: Any, batch: Any, clip: float, optimizer: str, **options: float) -> Trial:
    """A step with everything fresh."""
    return make.call(
        after=("model", "optimizer"),
        model=model,
        batch=batch,
        optimizer=make.recipe(_OPTIMIZER, optimizer, make.ref("model"), **options),
        schedule=make.recipe("torch.optim.lr_scheduler:StepLR", make.ref("optimizer"), step_size=1, gamma=0.5),
        clip=clip,
    )


def _third_step(make: Make, model: Any, batch: Any, clip: float, optimizer: str, **options: float) -> Trial:
    """A step of a training that has made two: the optimizer has a state, the rate has fallen twice, gradients are left.

    A call makes one step only, so what comes before it is made by the recipe.
    """
    schedule = {"step_size": 1, "gamma": 0.5}
    return make.call(
        after=("model", "optimizer"),
        model=model,
        batch=batch,
        optimizer=make.recipe(_OPTIMIZER, optimizer, make.ref("model"), **options),
        schedule=make.recipe("autograder.recipes:under_way", "StepLR", make.ref("optimizer"), 2, **schedule),
        clip=clip,
    )


@exercise.visible(
    en="the example worked by hand in the text: equal logits, and a clipped step",
    ja="本文で手計算した例：ロジットがすべて等しく、クリッピングされるステップ",
    **_NEAR,
)
def _(make: Make) -> Trial:
    # A dropout of 1 leaves the bias of the output alone, which is 0: the loss is ln 4 = 1.386. The gradient of the bias
    # is (0.25, 0.25, -0.75, 0.25), its norm 0.866, so that a clip of 0.433 halves it, and a step of 0.8 goes to
    # (-0.1, -0.1, 0.3, -0.1).
    model = make.recipe(_TINY, 5, 4, 3, dropout=1.0)
    source, inputs, labels = torch.tensor([[3, 4]]), torch.tensor([[1, 3, 0]]), torch.tensor([[2, 2, -100]])
    causal = torch.ones(3, 3, dtype=torch.bool).tril()
    masks = (source != 0)[:, None, None], causal & (inputs != 0)[:, None, None]
    return _first_step(make, model, (source, inputs, labels, masks), 0.433, "SGD", lr=0.8)


@exercise.visible(en="a first step", ja="最初のステップ", **_NEAR)
def _(make: Make) -> Trial:
    model = make.recipe(_TINY, 8, 7, 5, seed=1)
    return _first_step(make, model, _batch(make, (8, 7), [(4, 3), (2, 5)]), 0.1, "SGD", lr=0.5)


@exercise.visible(en="the third step of a training", ja="学習の 3 ステップ目", **_NEAR)
def _(make: Make) -> Trial:
    model = make.recipe(_TINY, 6, 9, 4, seed=2)
    return _third_step(make, model, _batch(make, (6, 9), [(3, 4), (5, 2)]), 5.0, "SGD", lr=0.3, momentum=0.9)


@exercise.hidden(en="a first step with a tight clip", ja="最初のステップ、厳しいクリッピング", weight=2, **_NEAR)
def _(make: Make) -> Trial:
    model = make.recipe(_TINY, 9, 8, 6, seed=3)
    return _first_step(make, model, _batch(make, (9, 8), [(5, 4), (3, 6), (1, 2)]), 0.05, "SGD", lr=0.7)


@exercise.hidden(en="the third step of a training with AdamW", ja="AdamW による学習の 3 ステップ目", weight=2)
def _(make: Make) -> Trial:
    model = make.recipe(_TINY, 7, 6, 4, seed=4)
    batch = _batch(make, (7, 6), [(2, 5), (4, 3), (6, 1)])
    return _third_step(make, model, batch, 50.0, "AdamW", lr=0.05, weight_decay=0.3)


# A dropout of everything, not of a half: it draws nothing, and is the same on every device.
@exercise.hidden(en="a model that comes in evaluation mode", ja="評価モードのまま渡されるモデル")
def _(make: Make) -> Trial:
    model = make.recipe(_TINY, 7, 9, 6, dropout=1.0, seed=5)
    return _first_step(make, model, _batch(make, (7, 9), [(3, 4), (4, 2)]), 9.0, "SGD", lr=0.6)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def _loss(model: nn.Module, batch: Any) -> Tensor:
    """The right loss."""
    source, inputs, labels, masks = batch
    return F.cross_entropy(model(source, inputs, *masks).transpose(1, 2), labels)


def _update(model: nn.Module, loss: Tensor, optimizer: Any, schedule: Any, clip: float) -> float:
    """The right order of everything that comes after the loss."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    schedule.step()
    return loss.item()


@exercise.mistake(
    en="The gradients are not cleared: those of the last step are added to those of this one.",
    ja="勾配を消していません。前のステップの勾配に、今回の勾配が足されています。",
    hint_en="backward() adds to .grad. Who sets it back, and when?",
    hint_ja="backward() は .grad に足し込みます。それをもとに戻すのは、いつ、どの命令でしょうか。",
)
def gradients_not_cleared(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> float:
    loss = _loss(model.train(), batch)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    schedule.step()
    return loss.item()


@exercise.mistake(
    en="The gradients are cleared between backward and the optimizer's step: nothing is left to learn from.",
    ja="backward とオプティマイザのステップの間で勾配を消しています。学習に使うものが残っていません。",
    hint_en="Which two lines must have nothing between them but the clipping?",
    hint_ja="間にクリッピングのほか何も置いてはいけないのは、どの 2 行でしょうか。",
)
def gradients_cleared_too_late(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> float:
    loss = _loss(model.train(), batch)
    loss.backward()
    optimizer.zero_grad()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    schedule.step()
    return loss.item()


@exercise.mistake(
    en="The schedule steps before the optimizer, which then uses the rate of the next step.",
    ja="スケジューラがオプティマイザより先に進んでいます。そのため、次のステップの学習率が使われています。",
    hint_en="The schedule sets the rate for the step to come. Which rate is this step to be made with?",
    hint_ja="スケジューラは、次のステップの学習率を設定します。今回のステップは、どの学習率で行うべきでしょうか。",
)
def schedule_first(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> float:
    optimizer.zero_grad()
    loss = _loss(model.train(), batch)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    schedule.step()
    optimizer.step()
    return loss.item()


@exercise.mistake(
    en="The gradients are clipped after the optimizer's step, or not at all: too late to matter.",
    ja="勾配のクリッピングがオプティマイザのステップより後にあるか、まったくありません。これでは効果がありません。",
    hint_en="What does the optimizer read when it steps? What must have happened to it by then?",
    hint_ja="オプティマイザはステップのとき何を読みますか。それまでに、何が済んでいなければなりませんか。",
)
def clipped_after_the_step(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> float:
    optimizer.zero_grad()
    loss = _loss(model.train(), batch)
    loss.backward()
    optimizer.step()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    schedule.step()
    return loss.item()


@exercise.mistake(
    en="Every entry of the gradients is clipped by itself, not the norm of all of them.",
    ja="全体のノルムではなく、勾配の成分を一つずつクリッピングしています。",
    hint_en="Clipping must not change the direction of the step. Which of PyTorch's two functions keeps it?",
    hint_ja="クリッピングは、ステップの向きを変えてはいけません。向きを保つ関数はどちらですか。",
)
def clipped_by_value(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> float:
    optimizer.zero_grad()
    loss = _loss(model.train(), batch)
    loss.backward()
    nn.utils.clip_grad_value_(model.parameters(), clip)
    optimizer.step()
    schedule.step()
    return loss.item()


@exercise.mistake(
    en="The inputs serve as labels: the model learns to repeat what it has just read.",
    ja="入力をラベルとして使っています。モデルは、いま読んだものをそのまま繰り返すことを学んでしまいます。",
    hint_en="Which of the four parts of the batch says what should come next?",
    hint_ja="batch の四つの部分のうち、次に来るべきものを表しているのはどれですか。",
)
def inputs_as_labels(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> float:
    source, inputs, _, masks = batch
    wrong = (source, inputs, inputs, masks)
    return _update(model, _loss(model.train(), wrong), optimizer, schedule, clip)


@exercise.mistake(
    en="The labels are shifted a second time.",
    ja="ラベルをもう一度ずらしています。",
    hint_en="shift_right_batch has shifted already. At which position of the inputs does the first label belong?",
    hint_ja="ずらすのは shift_right_batch で済んでいます。最初のラベルは、入力のどの位置に対応しますか。",
)
def shifted_twice(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> float:
    source, inputs, labels, masks = batch
    logits = model.train()(source, inputs, *masks)[:, :-1]
    loss = F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten())
    return _update(model, loss, optimizer, schedule, clip)


@exercise.mistake(
    en="The sum of the losses is divided by the number of all positions: padding counts as positions without loss.",
    ja="損失の和を、すべての位置の数で割っています。パディングが「損失 0 の位置」として数えられています。",
    hint_en="By how many is the sum divided? Two batches with the same sentences and different padding should agree.",
    hint_ja="和をいくつで割っていますか。同じ文であれば、パディングの量が違っても損失は同じになるはずです。",
)
def padding_counted(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> float:
    source, inputs, labels, masks = batch
    logits = model.train()(source, inputs, *masks)
    loss = F.cross_entropy(logits.transpose(1, 2), labels, reduction="sum") / labels.numel()
    return _update(model, loss, optimizer, schedule, clip)


@exercise.mistake(
    en="The model stays in evaluation mode: its dropout does nothing.",
    ja="モデルが評価モードのままで、ドロップアウトがはたらいていません。",
    hint_en="In which mode does a model come back from an evaluation, and who puts it back?",
    hint_ja="評価を終えたモデルは、どのモードになっていますか。もとに戻すのはどの命令ですか。",
)
def in_evaluation_mode(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> float:
    return _update(model, _loss(model, batch), optimizer, schedule, clip)


@exercise.mistake(
    en="The model is called without the masks.",
    ja="マスクを渡さずにモデルを呼び出しています。",
    hint_en="How does the docstring say that the model is called?",
    hint_ja="docstring では、モデルをどのように呼び出すことになっていますか。",
)
def masks_left_out(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> float:
    source, inputs, labels, _ = batch
    loss = F.cross_entropy(model.train()(source, inputs).transpose(1, 2), labels)
    return _update(model, loss, optimizer, schedule, clip)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def clearing_at_the_end(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> Tensor:
    """Gradients cleared before and after, a loss module, the loss as a tensor."""
    model.zero_grad(set_to_none=False)
    source, inputs, labels, masks = batch
    logits = model.train()(source, inputs, *masks)
    loss = nn.CrossEntropyLoss(ignore_index=-100)(logits.reshape(-1, logits.size(-1)), labels.reshape(-1))
    loss.backward()
    nn.utils.clip_grad_norm_(list(model.parameters()), max_norm=clip)
    optimizer.step()
    optimizer.zero_grad()
    schedule.step()
    return loss.detach()


@exercise.accepted
def by_hand(model: nn.Module, batch: Any, optimizer: Any, schedule: Any, clip: float) -> float:
    """The loss from log-probabilities, the clipping written out."""
    model.train()
    source, inputs, labels, (source_mask, target_mask) = batch
    logp = model(source, inputs, source_mask=source_mask, target_mask=target_mask).log_softmax(dim=-1)
    kept = labels != -100
    chosen = logp.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    loss = -(chosen * kept).sum() / kept.sum()
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(loss, parameters)
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    scale = (clip / (norm + 1e-6)).clamp(max=1.0)  # PyTorch, too, adds so much to the norm
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient * scale
    optimizer.step()
    schedule.step()
    return float(loss)
