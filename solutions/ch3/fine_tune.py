"""The whole loop of fine-tuning: accumulated gradients, clipping and a schedule (Devlin et al., 2019, appendix A)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


def fine_tune(
    model: nn.Module,
    batches: list[dict[str, Tensor]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    accumulate: int,
    clip: float,
) -> list[float]:
    """Train a model, in training mode, on a list of batches, in their order, each of them once.

    `accumulate` batches in a row make a window, and every window makes one step of the optimizer: with the gradient of
    the mean of the window's losses, clipped as a whole to the norm `clip`. The last window is smaller where the number
    of batches is no multiple of `accumulate`; it makes a step all the same, and its mean is over the batches that it
    has. The schedule makes a step after each of the optimizer's, and no window sees the gradients of another one.

    Args:
        model: model(**batch) returns an object whose `loss` is the mean loss of the batch. It may arrive in eval mode,
            as from_pretrained hands a model over, and without gradients from before.
        batches: dicts such as pad_batch returns.
        optimizer: over the model's parameters.
        schedule: the optimizer's schedule of learning rates.
        accumulate: how many batches make a window, 1 or more.
        clip: the norm to which nn.utils.clip_grad_norm_ clips the gradient of all parameters together.

    Returns:
        the loss of every batch as a plain number, in their order, not divided by anything.
    """
    losses = []
    ### BEGIN SOLUTION
    model.train()
    ### END SOLUTION
    for number, batch in enumerate(batches, start=1):
        window = min(accumulate, len(batches) - (number - 1) // accumulate * accumulate)  # batches in its window
        loss = model(**batch).loss
        losses.append(loss.item())
        ### BEGIN SOLUTION
        (loss / window).backward()  # adds to the gradients of the window's other batches
        if number % accumulate == 0 or number == len(batches):
            nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        ### END SOLUTION
    return losses


exercise = Exercise(
    fine_tune,
    points=5,
    objectives=["3.3", "3.5", "sentiment"],
    title_en="The whole loop of fine-tuning",
    title_ja="ファインチューニングのループ全体",
    equivalent={
        "if number % accumulate <= 0 or number == len(batches):": "a remainder is never below 0",
        "if number % accumulate == 0 or number >= len(batches):": "no batch has a number above the last one's",
        "if number % accumulate == 0 or number is len(batches):": "small whole numbers are the same objects",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------

LOOSE = 1e3  # a norm that no gradient here reaches


def training(
    make: Make,
    *,
    sizes: list[int],
    accumulate: int = 1,
    clip: float = LOOSE,
    optimizer: str = "SGD",
    gamma: float = 1.0,
    dropout: float = 0.0,
    **options: float,
) -> Trial:
    """A model on batches of these sizes; with gamma 1 the learning rate stays as it is.

    Batches differ in size: the mean of their losses is not the mean over all texts.
    """
    recipe = "autograder.course.small_classifier:SmallClassifier"
    length = 4
    batches = [
        {
            "input_ids": make.integers(0, 11, size, length),
            "attention_mask": make.keep_mask(size, length),
            "labels": make.integers(0, 3, size),
        }
        for size in sizes
    ]
    return make.call(
        after=("model", "optimizer"),
        model=make.recipe(recipe, seed=int(make.integers(1, 10_000, 1)), num_layers=1, dropout=dropout),
        batches=batches,
        optimizer=make.recipe("autograder.recipes:optimizer", optimizer, make.ref("model"), **options),
        schedule=make.recipe("torch.optim.lr_scheduler:ExponentialLR", make.ref("optimizer"), gamma=gamma),
        accumulate=accumulate,
        clip=clip,
    )


@exercise.visible(
    en="a step for every batch; a model with dropout that arrives in eval mode",
    ja="バッチごとに 1 ステップ。ドロップアウトのあるモデルを eval モードで渡す場合",
    again=False,
)
def _(make: Make) -> Trial:
    return training(make, sizes=[3, 5], gamma=0.5, dropout=1.0, lr=0.5)


@exercise.visible(
    en="three batches in windows of two, no clipping to speak of",
    ja="3 バッチを 2 バッチずつまとめる場合（クリッピングはほぼなし）",
    again=False,
)
def _(make: Make) -> Trial:
    return training(make, sizes=[4, 3, 5], accumulate=2, lr=0.4)


@exercise.visible(
    en="four batches in windows of two, with a tight clip",
    ja="4 バッチを 2 バッチずつまとめ、強くクリッピングする場合",
    again=False,
    rtol=1e-4,
    atol=1e-6,
)
def _(make: Make) -> Trial:
    return training(make, sizes=[2, 4, 3, 5], accumulate=2, clip=0.05, lr=0.5, momentum=0.9)


@exercise.hidden(
    en="AdamW with a falling learning rate", ja="学習率が下がっていく場合（AdamW）", weight=1.5, again=False, atol=1e-7
)
def _(make: Make) -> Trial:
    return training(make, sizes=[4, 3, 5, 4], optimizer="AdamW", gamma=0.7, lr=0.02, weight_decay=0.1)


@exercise.hidden(
    en="seven batches in windows of three: the last one has one batch",
    ja="7 バッチを 3 バッチずつまとめる場合（最後は 1 バッチだけ）",
    weight=2,
    again=False,
)
def _(make: Make) -> Trial:
    return training(make, sizes=[3, 2, 4, 5, 3, 2, 4], accumulate=3, lr=0.15, momentum=0.8)


@exercise.hidden(
    en="a tight clip in windows of two",
    ja="2 バッチずつまとめ、強くクリッピングする場合",
    weight=1.5,
    again=False,
    rtol=1e-4,
    atol=1e-6,
)
def _(make: Make) -> Trial:
    return training(make, sizes=[4, 2, 3, 5, 2, 3], accumulate=2, clip=0.08, lr=0.6)


@exercise.hidden(
    en="a model with dropout that arrives in eval mode",
    ja="ドロップアウトのあるモデルを eval モードで渡す場合",
    again=False,
)
def _(make: Make) -> Trial:
    return training(make, sizes=[5, 3], dropout=1.0, lr=0.4)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def _loop(
    model: nn.Module,
    batches: Any,
    optimizer: Any,
    schedule: Any,
    accumulate: int,
    clip: float,
    *,
    train: bool = True,
    scale: Callable[[int], float] = lambda window: window,
    finish: Callable[[Callable[[], Any], Any, Any], None],
    clip_each: bool = False,
    last: bool = True,
) -> list[float]:
    """The loop with one thing done otherwise. `finish(clip, optimizer, schedule)` ends a window."""
    model.train(train)
    losses = []

    def clipped() -> None:
        nn.utils.clip_grad_norm_(model.parameters(), clip)

    for start in range(0, len(batches), accumulate):
        window = batches[start : start + accumulate]
        for batch in window:
            loss = model(**batch).loss
            losses.append(loss.item())
            (loss / scale(len(window))).backward()
            if clip_each:
                clipped()
        if last or len(window) == accumulate:
            finish((lambda: None) if clip_each else clipped, optimizer, schedule)
    return losses


def _rightly(clip: Callable[[], Any], optimizer: Any, schedule: Any) -> None:
    clip()
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()


@exercise.mistake(
    en="The gradients are never cleared: every step also takes those of all windows before it.",
    ja="勾配を一度も消していません。どのステップにも、それより前のすべての区間の勾配が混ざっています。",
    hint_en="backward() adds to what is there. What has to happen between two steps?",
    hint_ja="backward() は、すでにある値に足し込みます。ステップとステップの間に何が必要でしょうか。",
)
def forgets_zero_grad(
    model: nn.Module, batches: Any, optimizer: Any, schedule: Any, accumulate: int, clip: float
) -> Any:
    def finish(clip: Callable[[], Any], optimizer: Any, schedule: Any) -> None:
        clip()
        optimizer.step()
        schedule.step()

    return _loop(model, batches, optimizer, schedule, accumulate, clip, finish=finish)


@exercise.mistake(
    en="The schedule makes its step before the optimizer: the first learning rate is skipped.",
    ja="オプティマイザより先にスケジュールを進めています。最初の学習率が飛ばされています。",
    hint_en="Which of the two should still see the learning rate of step 0?",
    hint_ja="ステップ 0 の学習率を使うべきなのは、二つのうちどちらでしょうか。",
)
def schedule_first(model: nn.Module, batches: Any, optimizer: Any, schedule: Any, accumulate: int, clip: float) -> Any:
    def finish(clip: Callable[[], Any], optimizer: Any, schedule: Any) -> None:
        clip()
        schedule.step()
        optimizer.step()
        optimizer.zero_grad()

    return _loop(model, batches, optimizer, schedule, accumulate, clip, finish=finish)


@exercise.mistake(
    en="The gradient is clipped after the step, when it has been used already, or not at all.",
    ja="勾配のクリッピングが、勾配を使うステップの後になっているか、行われていません。",
    hint_en="What does the optimizer read, and when? Clipping must have happened by then.",
    hint_ja="オプティマイザは何を、いつ読むでしょうか。クリッピングはそれまでに済んでいなければなりません。",
)
def clips_after_the_step(
    model: nn.Module, batches: Any, optimizer: Any, schedule: Any, accumulate: int, clip: float
) -> Any:
    def finish(clip: Callable[[], Any], optimizer: Any, schedule: Any) -> None:
        optimizer.step()
        clip()
        schedule.step()
        optimizer.zero_grad()

    return _loop(model, batches, optimizer, schedule, accumulate, clip, finish=finish)


@exercise.mistake(
    en="The model is not put into training mode: dropout stays off.",
    ja="モデルを学習モードにしていません。ドロップアウトが無効のままです。",
    hint_en="In which mode does from_pretrained hand a model over, and which method changes it?",
    hint_ja="from_pretrained が返すモデルはどちらのモードでしょうか。それを切り替えるメソッドは何ですか。",
)
def stays_in_eval_mode(
    model: nn.Module, batches: Any, optimizer: Any, schedule: Any, accumulate: int, clip: float
) -> Any:
    return _loop(model, batches, optimizer, schedule, accumulate, clip, train=model.training, finish=_rightly)


@exercise.mistake(
    en="The losses of a window are added up, not averaged: its gradient is as many times too large as it has batches.",
    ja="区間の損失を平均せずに足し合わせています。勾配が、区間のバッチ数の分だけ大きくなっています。",
    hint_en="Four batches of 8 should act like one of 32. What is the mean of four means?",
    hint_ja="8 文のバッチ四つは、32 文のバッチ一つと同じはたらきをするべきです。四つの平均の平均はどう求めますか。",
)
def does_not_average(
    model: nn.Module, batches: Any, optimizer: Any, schedule: Any, accumulate: int, clip: float
) -> Any:
    return _loop(model, batches, optimizer, schedule, accumulate, clip, scale=lambda window: 1.0, finish=_rightly)


@exercise.mistake(
    en="The last, smaller window is divided by `accumulate`, not by the number of batches that it has.",
    ja="最後の小さい区間を、その区間のバッチ数ではなく accumulate で割っています。",
    hint_en="One batch is left over in a window of four. By what is its mean loss divided?",
    hint_ja="4 バッチの区間に 1 バッチだけ残ったとします。損失の平均をとるには、いくつで割りますか。",
)
def last_window_divided_by_accumulate(
    model: nn.Module, batches: Any, optimizer: Any, schedule: Any, accumulate: int, clip: float
) -> Any:
    return _loop(
        model, batches, optimizer, schedule, accumulate, clip, scale=lambda window: accumulate, finish=_rightly
    )


@exercise.mistake(
    en="Each batch's gradient is clipped as it comes, not that of the whole window once.",
    ja="区間全体の勾配を一度だけでなく、バッチごとにクリッピングしています。",
    hint_en="When is the gradient of the window complete? Clip it then, and only then.",
    hint_ja="区間の勾配がそろうのはいつでしょうか。クリッピングはそのときに一度だけ行います。",
)
def clips_each_batch(
    model: nn.Module, batches: Any, optimizer: Any, schedule: Any, accumulate: int, clip: float
) -> Any:
    return _loop(model, batches, optimizer, schedule, accumulate, clip, clip_each=True, finish=_rightly)


@exercise.mistake(
    en="The last window makes no step when it is not full: what its batches had to teach is lost.",
    ja="最後の区間が accumulate に満たないとき、ステップを行っていません。そのバッチからは何も学べません。",
    hint_en="Seven batches in windows of three: how many steps are there, and after which batches?",
    hint_ja="7 バッチを 3 バッチずつまとめると、ステップは何回、どのバッチの後に行われますか。",
)
def drops_the_last_window(
    model: nn.Module, batches: Any, optimizer: Any, schedule: Any, accumulate: int, clip: float
) -> Any:
    return _loop(model, batches, optimizer, schedule, accumulate, clip, last=False, finish=_rightly)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def window_by_window(
    model: nn.Module, batches: Any, optimizer: Any, schedule: Any, accumulate: int, clip: float
) -> Any:
    """The mean of a window's losses first, then one backward pass; the results as a tensor."""
    model.train()
    losses: list[Tensor] = []
    while len(losses) < len(batches):
        window = [model(**batch)["loss"] for batch in batches[len(losses) : len(losses) + accumulate]]
        model.zero_grad()
        torch.stack(window).mean().backward()
        nn.utils.clip_grad_norm_(list(model.parameters()), max_norm=clip)
        optimizer.step()
        schedule.step()
        losses += window
    return torch.stack(losses).detach()


@exercise.accepted
def with_gradients_of_its_own(
    model: nn.Module, batches: Any, optimizer: Any, schedule: Any, accumulate: int, clip: float
) -> Any:
    """The gradients are asked for, averaged and clipped by hand, and put where the optimizer reads them."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    losses, gathered = [], []
    for number, batch in enumerate(batches):
        logits = model.train()(batch["input_ids"], batch["attention_mask"]).logits
        loss = nn.functional.cross_entropy(logits, batch["labels"])
        gathered.append(torch.autograd.grad(loss, parameters))
        losses.append(float(loss))
        if len(gathered) == accumulate or number + 1 == len(batches):
            means = [torch.stack(each).mean(dim=0) for each in zip(*gathered, strict=True)]
            norm = torch.cat([mean.flatten() for mean in means]).norm()
            for parameter, mean in zip(parameters, means, strict=True):
                parameter.grad = mean * min(1.0, clip / float(norm))
            optimizer.step()
            schedule.step()
            gathered = []
    return losses


@exercise.accepted
def losses_kept_as_tensors(
    model: nn.Module, batches: Any, optimizer: Any, schedule: Any, accumulate: int, clip: float
) -> Any:
    """A list of tensors that still hold their graphs wastes memory, but its numbers are right."""
    model.train()
    losses = []
    for start in range(0, len(batches), accumulate):
        optimizer.zero_grad(set_to_none=False)
        for batch in batches[start : start + accumulate]:
            losses.append(model(**batch)[0])
            (losses[-1] / len(batches[start : start + accumulate])).backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        schedule.step()
    return losses
