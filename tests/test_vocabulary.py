"""What later chapters need of the vocabulary, tried on small versions of their exercises.

Each exercise is sat as in an exam: its reference and what is accepted get all marks, and every mistake loses marks and
is named as itself. The self-check, which gets its key from a checks file, is sat as well.
"""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toys import SEED, ask, exercise_of, mistake_of, verdict_of

from autograder.ask import answer_question, write_question
from autograder.checksfile import pack, unpack
from autograder.examiner import mark, read
from autograder.exercise import Exercise
from autograder.judge import judge
from autograder.key import make_key
from autograder.make import Make
from autograder.selfcheck import judge_here
from autograder.text import Text

Draw = Callable[[Make], Any]


def both(exercise: Exercise, draw: Draw, **options: Any) -> None:
    """The same situation as a visible and as a hidden case."""
    exercise.visible(en="one that is shown", ja="見える例")(draw)
    exercise.hidden(en="one that is not", ja="見えない例", **options)(draw)


# -- a sublayer that is handed over: ResidualConnection ------------------------------------------------------------


class ResidualConnection(nn.Module):
    def __init__(self, d_model: int, pre_norm: bool) -> None:
        super().__init__()
        self.norm, self.pre_norm = nn.LayerNorm(d_model), pre_norm

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        if self.pre_norm:
            return x + sublayer(self.norm(x))
        result: Tensor = self.norm(x + sublayer(x))
        return result


def residual() -> Exercise:
    exercise = exercise_of(ResidualConnection)

    def draw(pre_norm: bool) -> Draw:
        def build(make: Make) -> Any:
            sublayer = make.recipe("torch.nn:Linear", 5, 5, seed=3)
            init = {"d_model": 5, "pre_norm": pre_norm}
            return make.module(ResidualConnection, init, x=make.normal(2, 3, 5), sublayer=sublayer)

        return build

    exercise.visible(en="post-norm", ja="後")(draw(False))
    exercise.hidden(en="post-norm again", ja="再び後")(draw(False))
    exercise.hidden(en="pre-norm", ja="前")(draw(True))
    exercise.hidden(en="gradients", ja="勾配", gradients=True)(draw(True))

    class AlwaysPost(ResidualConnection):
        def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
            result: Tensor = self.norm(x + sublayer(x))
            return result

    class NoResidual(ResidualConnection):
        def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
            return sublayer(self.norm(x)) if self.pre_norm else self.norm(sublayer(x))

    for wrong in (AlwaysPost, NoResidual):
        mistake_of(exercise, wrong)

    @exercise.accepted
    class Functional(ResidualConnection):
        def forward(self, x: Tensor, layer: Callable[[Tensor], Tensor]) -> Tensor:
            def norm(y: Tensor) -> Tensor:
                return F.layer_norm(y, y.shape[-1:], self.norm.weight, self.norm.bias, self.norm.eps)

            return layer(norm(x)).add_(x) if self.pre_norm else norm(layer(x).add_(x))

    return exercise


# -- a whole loop whose model is compared afterwards: fine_tune ----------------------------------------------------

Batches = list[tuple[Tensor, Tensor]]


def fine_tune(
    model: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer, schedule: Any, accumulate: int, clip: float
) -> list[float]:
    """Train on `batches`, stepping after every `accumulate` of them and at the end; returns the losses."""
    losses = []
    optimizer.zero_grad()
    for start in range(0, len(batches), accumulate):
        window = batches[start : start + accumulate]
        for x, y in window:
            loss = F.cross_entropy(model(x), y)
            (loss / len(window)).backward()
            losses.append(loss.item())
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return losses


def loop(zero: bool = True, scale: bool = True, clip_first: bool = True, last: bool = True) -> Any:
    """`fine_tune` with one thing left out."""

    def wrong(model: nn.Module, batches: Batches, optimizer: Any, schedule: Any, accumulate: int, clip: float) -> Any:
        losses = []
        for start in range(0, len(batches), accumulate):
            window = batches[start : start + accumulate]
            for x, y in window:
                loss = F.cross_entropy(model(x), y)
                (loss / len(window) if scale else loss).backward()
                losses.append(float(loss))
            if len(window) < accumulate and not last:
                continue
            if clip_first:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            if not clip_first:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            schedule.step()
            if zero:
                optimizer.zero_grad()
        return losses

    return wrong


def fine_tuning() -> Exercise:
    exercise = exercise_of(fine_tune)

    def draw(clip: float, optimizer: str, **options: float) -> Draw:
        return lambda make: make.call(
            after=("model",),
            model=make.recipe("toys:classifier", 4, 3, seed=2),
            batches=[(make.normal(5, 4), make.integers(0, 3, 5)) for _ in range(5)],
            optimizer=make.recipe("autograder.recipes:optimizer", optimizer, make.ref("model"), **options),
            schedule=make.recipe(
                "torch.optim.lr_scheduler:LambdaLR", make.ref("optimizer"), lr_lambda=make.recipe("toys:halves")
            ),
            accumulate=2,
            clip=clip,
        )

    exercise.visible(en="a few batches", ja="少数のバッチ")(draw(0.2, "SGD", lr=0.5))
    exercise.hidden(en="a tight clip", ja="厳しいクリップ")(draw(0.2, "SGD", lr=0.5))
    exercise.hidden(en="no clip to speak of", ja="緩いクリップ")(draw(100.0, "AdamW", lr=0.01, weight_decay=0.1))
    mistakes = {
        "forgets_zero_grad": loop(zero=False),
        "clips_after_the_step": loop(clip_first=False),
        "does_not_scale": loop(scale=False),
        "drops_the_last_window": loop(last=False),
    }
    for name, wrong in mistakes.items():
        wrong.__name__ = name
        mistake_of(exercise, wrong)

    @exercise.accepted
    def counting(model: nn.Module, batches: Batches, opt: Any, sched: Any, every: int, clip: float) -> Any:
        model.train()
        losses = []
        for number, (x, y) in enumerate(batches, 1):
            first = (number - 1) // every * every
            loss = nn.CrossEntropyLoss()(model(x), y)
            loss.div(min(every, len(batches) - first)).backward()
            losses.append(loss.detach())
            if number % every == 0 or number == len(batches):
                nn.utils.clip_grad_norm_(list(model.parameters()), clip)
                opt.step(), opt.zero_grad(set_to_none=False), sched.step()
        model.eval()
        return torch.stack(losses)

    return exercise


# -- a function that is handed over: beam_search -------------------------------------------------------------------


def beam_search(
    step_fn: Callable[[list[int]], Tensor], bos: int, eos: int, beams: int, max_len: int, alpha: float
) -> tuple[list[int], float]:
    """The best hypothesis and its score: the sum of log-probabilities divided by length ** alpha, bos not counted."""
    alive, done = [([bos], 0.0)], []
    for _ in range(max_len):
        grown = [
            ([*ids, token], score + float(value))
            for ids, score in alive
            for token, value in enumerate(step_fn(ids).tolist())
        ]
        grown.sort(key=lambda hypothesis: -hypothesis[1])
        done += [hypothesis for hypothesis in grown[:beams] if hypothesis[0][-1] == eos]
        alive = [hypothesis for hypothesis in grown[:beams] if hypothesis[0][-1] != eos]
        if not alive:
            break
    scored = [(ids, score / (len(ids) - 1) ** alpha) for ids, score in done + alive]
    return max(scored, key=lambda hypothesis: hypothesis[1])


def greedy(step_fn: Any, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> Any:
    return beam_search(step_fn, bos, eos, 1, max_len, alpha)


def not_normalised(step_fn: Any, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> Any:
    return beam_search(step_fn, bos, eos, beams, max_len, 0.0)


# Log-probabilities of the next token by the last one; the likeliest first step is not the best.
TABLE = torch.tensor([[0.0, 0.02, 0.5, 0.48], [0.25] * 4, [0.3, 0.2, 0.2, 0.3], [0.02, 0.9, 0.04, 0.04]]).log()


def searching() -> Exercise:
    exercise = exercise_of(beam_search)

    def draw(beams: int, alpha: float) -> Draw:
        return lambda make: {
            "step_fn": make.recipe("toys:table_step", TABLE.double() + 0.01 * make.uniform(4, 4)),
            **{"bos": 0, "eos": 1, "beams": beams, "max_len": 4, "alpha": alpha},
        }

    both(exercise, draw(3, 0.7))
    mistake_of(exercise, greedy)
    mistake_of(exercise, not_normalised)

    @exercise.accepted
    def as_tensors(step_fn: Any, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> Any:
        ids, score = beam_search(step_fn, bos, eos, beams, max_len, alpha)
        return torch.tensor(ids), torch.tensor(score, dtype=torch.float64)

    return exercise


# -- a picture: attention_map --------------------------------------------------------------------------------------


def attention_map(weights: Tensor, tokens: list[str], ax: Any) -> Any:
    """Draw a heat map, rows are queries."""
    ax.imshow(weights.numpy(), cmap="Blues")
    ax.set_xticks(range(len(tokens)), tokens)
    ax.set_yticks(range(len(tokens)), tokens)
    return ax


def mapping() -> Exercise:
    exercise = exercise_of(attention_map, device=False)
    both(
        exercise,
        lambda make: {
            "weights": make.uniform(3, 3),
            "tokens": ["the", "cat", "sat"],
            "ax": make.recipe("autograder.recipes:axes"),
        },
    )

    @exercise.accepted
    def as_a_mesh(weights: Tensor, tokens: list[str], ax: Any) -> Any:
        ax.pcolormesh(weights.numpy())
        ax.invert_yaxis()
        ax.set_xticks([0.5, 1.5, 2.5], tokens)
        ax.set_yticks([0.5, 1.5, 2.5], tokens)
        return ax

    def transposed(weights: Tensor, tokens: list[str], ax: Any) -> Any:
        return attention_map(weights.T, tokens, ax)

    def returns_nothing(weights: Tensor, tokens: list[str], ax: Any) -> None:
        attention_map(weights, tokens, ax)

    mistake_of(exercise, transposed)
    mistake_of(exercise, returns_nothing)
    return exercise


# -- a random procedure: mask_tokens -------------------------------------------------------------------------------


def mask_tokens(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """BERT's masking: of the chosen tokens 80 % are masked, 10 % replaced, 10 % kept; labels are -100 elsewhere."""
    open_places = ~torch.isin(ids, torch.tensor(special_ids, device=ids.device))
    chosen = (torch.rand(ids.shape, generator=generator) < probability) & open_places
    labels = torch.where(chosen, ids, -100)
    kind = torch.rand(ids.shape, generator=generator)
    other = torch.randint(vocab_size, ids.shape, generator=generator)
    masked = torch.where(chosen & (kind < 0.8), mask_id, ids)
    return torch.where(chosen & (kind >= 0.8) & (kind < 0.9), other, masked), labels


def masks_alike(inputs: Any, expected: Any, actual: Any) -> Text | None:
    """What every right masking has in common, whatever it drew."""
    masked, labels = actual
    ids, mask_id, special = inputs["ids"], inputs["mask_id"], torch.tensor(inputs["special_ids"])
    chosen = labels != -100
    share = float(chosen.sum() / (~torch.isin(ids, special)).sum())
    if bool((chosen & torch.isin(ids, special)).any()):
        return Text("special tokens are chosen.", "特殊トークンが選ばれています。")
    if not torch.equal(labels[chosen], ids[chosen]) or not torch.equal(masked[~chosen], ids[~chosen]):
        return Text("the labels do not fit the inputs.", "ラベルが入力と合いません。")
    if abs(share - inputs["probability"]) > 0.05:
        return Text("too many or too few are chosen.", "選ばれた数が違います。")
    if abs(float((masked[chosen] == mask_id).double().mean()) - 0.8) > 0.1:
        return Text("not 80 % are masked.", "80 % がマスクされていません。")
    return None


def masking() -> Exercise:
    exercise = exercise_of(mask_tokens)

    def draw(make: Make) -> Any:
        ids = make.integers(0, 50, 40, 60)
        generator = make.recipe("autograder.recipes:generator", 5)
        given = {"mask_id": 50, "vocab_size": 50, "special_ids": [0, 1], "probability": 0.3}
        return {"ids": ids, **given, "generator": generator}

    exercise.visible(en="none is chosen", ja="選択なし")(lambda make: {**draw(make), "probability": 0.0})
    exercise.hidden(en="many tokens", ja="多数のトークン", judge=masks_alike)(draw)
    none: list[int] = []

    def chooses_special(ids: Tensor, mask_id: int, size: int, special: Any, p: float, generator: Any) -> Any:
        return mask_tokens(ids, mask_id, size, none, p, generator)

    def masks_all(ids: Tensor, mask_id: int, size: int, special: Any, p: float, generator: Any) -> Any:
        _, labels = mask_tokens(ids, mask_id, size, special, p, generator)
        return torch.where(labels != -100, mask_id, ids), labels

    mistake_of(exercise, chooses_special)
    mistake_of(exercise, masks_all)

    @exercise.accepted
    def draws_otherwise(ids: Tensor, mask_id: int, size: int, special: Any, p: float, generator: Any) -> Any:
        masked, labels = ids.clone(), torch.full_like(ids, -100)
        for place in range(ids.numel()):
            token = int(ids.flatten()[place])
            u, v = torch.rand(2, generator=generator).tolist()
            if token not in special and u < p:
                labels.view(-1)[place] = token
                if v < 0.9:
                    drawn = int(torch.randint(size, (1,), generator=generator))
                    masked.view(-1)[place] = mask_id if v < 0.8 else drawn
        return [masked.numpy(), labels.numpy()]

    return exercise


# -- texts, dicts, generators --------------------------------------------------------------------------------------


def few_shot_prompt(instruction: str, shots: list[tuple[str, str]], query: str) -> str:
    return "\n\n".join([instruction, *(f"Q: {q}\nA: {a}" for q, a in shots), f"Q: {query}\nA:"])


def prompting() -> Exercise:
    exercise = exercise_of(few_shot_prompt)
    both(exercise, lambda make: {"instruction": "Add.", "shots": [("1+1", "2"), ("2+3", "5")], "query": "4+4"})

    def trailing_space(instruction: str, shots: Any, query: str) -> str:
        return few_shot_prompt(instruction, shots, query) + " "

    mistake_of(exercise, trailing_space)
    return exercise


def pad_batch(features: list[dict[str, list[int]]], pad_id: int) -> dict[str, Tensor]:
    longest = max(len(feature["ids"]) for feature in features)
    rows = [feature["ids"] + [pad_id] * (longest - len(feature["ids"])) for feature in features]
    lengths = torch.tensor([len(feature["ids"]) for feature in features])
    return {"ids": torch.tensor(rows), "mask": torch.arange(longest) < lengths[:, None]}


def padding() -> Exercise:
    exercise = exercise_of(pad_batch)
    both(
        exercise, lambda make: {"features": [{"ids": make.integers(1, 9, n).tolist()} for n in (2, 4, 3)], "pad_id": 0}
    )

    @exercise.accepted
    def with_the_library(features: Any, pad_id: int) -> Any:
        rows = [torch.tensor(feature["ids"]) for feature in features]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id)
        return {"mask": (ids != pad_id).long(), "ids": ids.int()}

    def mask_turned_round(features: Any, pad_id: int) -> Any:
        found = pad_batch(features, pad_id)
        return {**found, "mask": ~found["mask"]}

    def ids_alone(features: Any, pad_id: int) -> Any:
        return {"ids": pad_batch(features, pad_id)["ids"]}

    mistake_of(exercise, mask_turned_round)
    mistake_of(exercise, ids_alone)
    return exercise


def chunks(ids: Tensor, size: int) -> Iterator[Tensor]:
    """Yield the windows of `size`, one after the other; the last may be shorter."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def chunking() -> Exercise:
    exercise = exercise_of(chunks)
    both(exercise, lambda make: {"ids": make.integers(0, 99, 7), "size": 3})

    def drops_the_last(ids: Tensor, size: int) -> Iterator[Tensor]:
        for start in range(0, len(ids) - size + 1, size):
            yield ids[start : start + size]

    mistake_of(exercise, drops_the_last)
    mistake_of(exercise, lambda_named("returns_a_list", lambda ids, size: list(chunks(ids, size))))
    exercise.accepted(lambda_named("as_an_iterator", lambda ids, size: iter(ids.split(size))))
    exercise.accepted(lambda_named("mapped", lambda ids, size: map(torch.clone, ids.split(size))))
    return exercise


def lambda_named(name: str, function: Any) -> Any:
    function.__name__ = name
    return function


# -- modules that are handed over, frozen, tied --------------------------------------------------------------------


class LoRALinear(nn.Module):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.linear, self.scale = linear.requires_grad_(False), alpha / rank
        self.a = nn.Parameter(torch.zeros(rank, linear.in_features))
        self.b = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear(x) + self.scale * (x @ self.a.T @ self.b.T)
        return result

    def merge(self) -> nn.Linear:
        merged = nn.Linear(self.linear.in_features, self.linear.out_features).to(self.a)
        merged.weight.data = self.linear.weight + self.scale * self.b @ self.a
        merged.bias.data = self.linear.bias.clone()
        return merged


def adapting() -> Exercise:
    exercise = exercise_of(LoRALinear)

    def draw(**options: Any) -> Draw:
        def build(make: Make) -> Any:
            init = {"linear": make.recipe("torch.nn:Linear", 4, 3), "rank": 2, "alpha": 3.0}
            inputs = {} if options else {"x": make.normal(5, 4)}
            return make.module(LoRALinear, init, **options, **inputs)

        return build

    exercise.visible(en="forward", ja="順方向")(draw())
    exercise.hidden(en="forward again", ja="順方向再び")(draw())
    exercise.hidden(en="merged", ja="統合")(draw(method="merge"))
    exercise.hidden(en="gradients", ja="勾配", gradients=True)(draw())

    class NotScaled(LoRALinear):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.linear(x) + x @ self.a.T @ self.b.T
            return result

    class MergesNothing(LoRALinear):
        def merge(self) -> nn.Linear:
            return self.linear

    for wrong in (NotScaled, MergesNothing):
        mistake_of(exercise, wrong)
    return exercise


def freeze(model: nn.Module, layers: int) -> int:
    """Freeze the first `layers` layers; returns how many numbers stay trainable."""
    for layer in list(model.children())[:layers]:
        layer.requires_grad_(False)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def freezing() -> Exercise:
    exercise = exercise_of(freeze)
    both(
        exercise,
        lambda make: make.call(after=("model",), model=make.recipe("toys:classifier", 3, 6), layers=1),
    )

    def freezes_nothing(model: nn.Module, layers: int) -> int:
        return sum(p.numel() for layer in list(model.children())[layers:] for p in layer.parameters())

    def the_last_ones(model: nn.Module, layers: int) -> int:
        count = freezes_nothing(model, layers)
        list(model.children())[-1].requires_grad_(False)
        return count

    mistake_of(exercise, freezes_nothing)
    mistake_of(exercise, the_last_ones)
    return exercise


class TinyGPT(nn.Module):
    """Tied weights, whole numbers in, a float32 buffer first."""

    def __init__(self, config: dict[str, int]) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(0.5))
        self.embed = nn.Embedding(config["vocab"], config["width"])
        self.head = nn.Linear(config["width"], config["vocab"], bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        positions = torch.arange(ids.shape[-1], device=ids.device)
        result: Tensor = self.head(self.embed(ids) * self.scale + positions[:, None])
        return result


def tying() -> Exercise:
    exercise = exercise_of(TinyGPT)

    def draw(make: Make) -> Any:
        return make.module(TinyGPT, {"config": {"vocab": 7, "width": 3}}, ids=make.integers(0, 7, 2, 5))

    both(exercise, draw, gradients=True)

    class Untied(TinyGPT):
        def __init__(self, config: dict[str, int]) -> None:
            super().__init__(config)
            self.head = nn.Linear(config["width"], config["vocab"], bias=False)

    class NoPositions(TinyGPT):
        def forward(self, ids: Tensor) -> Tensor:
            result: Tensor = self.head(self.embed(ids) * self.scale)
            return result

    mistake_of(exercise, NoPositions)
    mistake_of(exercise, Untied)
    return exercise


# -- all of them are sat -------------------------------------------------------------------------------------------

EXERCISES = {
    make.__name__: make()
    for make in (
        residual,
        fine_tuning,
        searching,
        mapping,
        masking,
        prompting,
        padding,
        chunking,
        adapting,
        freezing,
        tying,
    )
}
ALL = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)


@ALL
def test_the_reference_and_what_is_accepted_get_all_marks(exercise: Exercise) -> None:
    assert exercise.problems() == []
    for seed in (SEED, 11, 12):
        key = make_key(exercise, seed)
        for answers in (exercise.answers, *(right.answers for right in exercise.alternatives)):
            verdict = judge(key.sheet, ask(key, answers))
            assert verdict.score == exercise.points, verdict.summary().en


@ALL
def test_every_mistake_loses_marks_and_is_named_as_itself(exercise: Exercise) -> None:
    assert exercise.mistakes
    key = make_key(exercise, SEED)
    for mistake in exercise.mistakes:
        verdict = judge(key.sheet, ask(key, mistake.answers))
        assert verdict.score < exercise.points
        assert verdict.mistake is not None, mistake.name
        assert verdict.mistake.name == mistake.name


@ALL
def test_the_self_check_judges_from_its_file_alone(exercise: Exercise) -> None:
    data = pack([make_key(exercise, SEED, hidden=False)], "en")
    (key,) = unpack(data).keys.values()
    assert judge_here(key, dict(exercise.answers)).status == "right"
    for right in exercise.alternatives:
        assert judge_here(key, dict(right.answers)).status == "right", right.name
    assert judge_here(key, {}).status == "missing"


@ALL
def test_the_exam_goes_the_whole_way_through_another_process(exercise: Exercise, tmp_path: Path) -> None:
    key = make_key(exercise, SEED)
    write_question(tmp_path, list(key.trials), {}, "cpu", made_up=key.device)
    answer_question(str(tmp_path), dict(exercise.answers))
    verdict = mark(key, read(key, range(len(key.trials)), tmp_path))
    assert verdict.score == exercise.points
    own = {"mask_tokens": ["device"], "pad_batch": []}  # draws on the generator's device, which is the CPU
    assert [remark.kind for remark in verdict.remarks] in ([], own.get(exercise.slug, []))


def test_a_training_loop_that_is_wrong_in_its_model_alone_is_found() -> None:
    """The losses are those of the first window: what went wrong after it shows in the weights only."""

    def right_losses(model: nn.Module, *rest: Any) -> list[float]:
        twin = copy.deepcopy(model)
        schedule = type("Schedule", (), {"step": lambda self: None})()
        return fine_tune(twin, rest[0], torch.optim.SGD(twin.parameters(), lr=0.0), schedule, *rest[3:])

    verdict = verdict_of(EXERCISES["fine_tuning"], right_losses)
    assert verdict.score == 0.0


def test_a_generator_in_place_of_a_list_is_told() -> None:
    verdict = verdict_of(EXERCISES["searching"], lambda *a: (token for token in beam_search(*a)[0]))
    visible = verdict.cases[0].says
    assert visible is not None
    assert visible.en == "the type is generator instead of list."
    listed = verdict_of(EXERCISES["chunking"], lambda ids, size: list(ids.split(size)))
    assert listed.score == 0.0
    assert listed.mistake is not None


def test_a_trainable_parameter_that_should_be_frozen_shows_in_gradients() -> None:
    class StillTrained(LoRALinear):
        def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
            super().__init__(linear, rank, alpha)
            self.linear.requires_grad_(True)

    verdict = verdict_of(EXERCISES["adapting"], StillTrained)
    assert [case.passed for case in verdict.cases][-1] is False
