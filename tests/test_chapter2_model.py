"""Chapter 2, layers, model and training: the references against PyTorch itself; errors cost their marks once."""

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toycourse import ROOT

from autograder.course import seq2seq, standins_layers
from autograder.inputs import build_inputs
from autograder.key import make_key
from autograder.make import Make
from autograder.recipes import under_way
from autograder.selfcheck import judge_here
from autograder.solutions import load_exercise

CHAPTER = ROOT / "solutions" / "ch2"
SLUGS = ("causal_mask", "encoder_layer", "decoder_layer", "transformer_model", "shift_right_batch", "train_step")
EXERCISES = {slug: load_exercise(CHAPTER / f"{slug}.py") for slug in SLUGS}
ANSWERS: dict[str, Any] = {name: answer for each in EXERCISES.values() for name, answer in each.answers.items()}
CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()
PADDED = (torch.arange(7) < torch.tensor([[4], [7], [6]]))[:, None, None]


def _redrawn(module: nn.Module) -> nn.Module:
    module = module.double()
    module.load_state_dict(Make(3).state(module))
    return module


def _named(state: dict[str, Tensor], **names: str) -> dict[str, Tensor]:
    """A state dict with the library's names in place of the course's."""
    return {".".join(names.get(part, part) for part in key.split(".")): value for key, value in state.items()}


def _opposite(keep_mask: Tensor | None, heads: int, queries: int) -> Tensor | None:
    """What nn.MultiheadAttention wants, written as plainly as can be."""
    if keep_mask is None:
        return None
    return ~torch.cat([each.expand(heads, queries, -1) for each in keep_mask.expand(3, -1, -1, -1)])


@pytest.mark.parametrize("time", [1, 2, 7])
def test_the_causal_mask_is_the_librarys(time: int) -> None:
    theirs = nn.Transformer.generate_square_subsequent_mask(time)
    ours = ANSWERS["causal_mask"](time)
    assert ours.dtype == torch.bool
    assert torch.equal(ours, theirs == 0)
    assert torch.equal(ours, standins_layers.causal_mask(time))


@pytest.mark.parametrize("mask", [None, PADDED])
@pytest.mark.parametrize("layers", [ANSWERS, vars(standins_layers)], ids=["reference", "stand-in"])
def test_the_encoder_layer_is_the_librarys(layers: dict[str, Any], mask: Tensor | None) -> None:
    ours = _redrawn(layers["EncoderLayer"](12, 3, 17))
    theirs = nn.TransformerEncoderLayer(12, 3, 17, dropout=0.0, batch_first=True).double()
    theirs.load_state_dict(_named(ours.state_dict(), self_attention="self_attn"))
    x = torch.randn(3, 7, 12, dtype=torch.float64)
    torch.testing.assert_close(ours(x, mask), theirs(x, _opposite(mask, 3, 7)))


@pytest.mark.parametrize("masks", [(None, None), (CAUSAL, None), (None, PADDED), (CAUSAL, PADDED)])
@pytest.mark.parametrize("layers", [ANSWERS, vars(standins_layers)], ids=["reference", "stand-in"])
def test_the_decoder_layer_is_the_librarys(layers: dict[str, Any], masks: tuple[Tensor | None, Tensor | None]) -> None:
    ours = _redrawn(layers["DecoderLayer"](12, 3, 17))
    theirs = nn.TransformerDecoderLayer(12, 3, 17, dropout=0.0, batch_first=True).double()
    names = {"self_attention": "self_attn", "cross_attention": "multihead_attn"}
    theirs.load_state_dict(_named(ours.state_dict(), **names))
    x, memory = torch.randn(3, 5, 12, dtype=torch.float64), torch.randn(3, 7, 12, dtype=torch.float64)
    own, across = masks
    forbidden = None if own is None else ~own
    torch.testing.assert_close(ours(x, memory, own, across), theirs(x, memory, forbidden, _opposite(across, 3, 5)))


@pytest.mark.parametrize("name", ["EncoderLayer", "DecoderLayer"])
@pytest.mark.parametrize("dropout", [0.0, 1.0])
def test_the_stand_ins_equal_the_references(name: str, dropout: float) -> None:
    reference = _redrawn(ANSWERS[name](8, 2, 11, dropout))
    stand_in = getattr(standins_layers, name)(8, 2, 11, dropout).double()
    assert set(stand_in.state_dict()) == set(reference.state_dict())
    stand_in.load_state_dict(reference.state_dict())
    inputs = [torch.randn(2, 4, 8, dtype=torch.float64) for _ in range(1 if name == "EncoderLayer" else 2)]
    torch.testing.assert_close(stand_in(*inputs), reference(*inputs))


def test_the_whole_model_is_the_librarys() -> None:
    ours = _redrawn(ANSWERS["Transformer"](9, 8, 12, 2, 17, num_layers=2))
    theirs = nn.Transformer(12, 2, 2, 2, 17, dropout=0.0, batch_first=True).double()
    theirs.encoder.norm = theirs.decoder.norm = None  # the paper has no norm after a whole stack
    names = {"self_attention": "self_attn", "cross_attention": "multihead_attn"}
    inside = {key.replace("_layers", ".layers"): value for key, value in ours.state_dict().items() if "layers" in key}
    theirs.load_state_dict(_named(inside, **names))
    source, target = torch.randint(9, (3, 7)), torch.randint(8, (3, 5))
    vectors = [
        F.embedding(ids, ours.state_dict()[f"{side}_embedding.weight"]) * 12**0.5 + ours.get_buffer("positions")[:time]
        for side, ids, time in (("source", source, 7), ("target", target, 5))
    ]
    padding = ~PADDED[:, 0, 0]
    given = {"src_key_padding_mask": padding, "memory_key_padding_mask": padding, "tgt_mask": ~CAUSAL}
    expected = ours.get_submodule("output")(theirs(*vectors, **given))
    torch.testing.assert_close(ours(source, target, PADDED), expected)
    assert len(ANSWERS["Transformer"](9, 8, 12, 3, 17).decoder_layers) == 6


def test_positions_are_sines_and_cosines() -> None:
    table = seq2seq.sinusoids(30, 8)
    for place, feature in ((0, 0), (7, 2), (29, 4), (13, 6)):
        angle = torch.tensor(place / 10_000 ** (feature / 8))
        torch.testing.assert_close(table[place, feature], angle.sin(), atol=1e-5, rtol=0)
        torch.testing.assert_close(table[place, feature + 1], angle.cos(), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="even"):
        seq2seq.sinusoids(4, 5)


def test_the_parameters_of_the_base_model_are_the_librarys() -> None:
    theirs = nn.Transformer(512, 8, 6, 6, 2048, batch_first=True, device="meta")
    theirs.encoder.norm = theirs.decoder.norm = None
    question = load_exercise(CHAPTER / "six_layers_parameters.py")
    assert question.references == (sum(parameter.numel() for parameter in theirs.parameters()),)


def test_the_count_of_two_masks_is_that_of_the_masks() -> None:
    source, target = torch.ones(1, 2, dtype=torch.long), torch.tensor([[5, 6, 7, 8, 0, 0, 0]])
    _, _, (_, mask) = ANSWERS["shift_right_batch"](source, target, pad=0, bos=1, eos=2)
    assert mask.shape == (1, 1, 8, 8)
    assert load_exercise(CHAPTER / "causal_mask_count.py").references == (int(mask.sum()),)


def test_inputs_and_labels_are_one_apart() -> None:
    target = torch.tensor([[7, 4, 9, 3], [5, 0, 0, 0], [6, 8, 0, 0]])
    inputs, labels, (source_mask, target_mask) = ANSWERS["shift_right_batch"](target, target, pad=0, bos=1, eos=2)
    kept = target != 0
    assert torch.equal(inputs[:, 1:], target)
    assert torch.equal(labels[:, :-1][kept], target[kept])
    assert (inputs[:, 0] == 1).all()
    assert ((labels == 2).sum(dim=1) == 1).all()
    assert (labels != -100).sum() == kept.sum() + 3
    assert torch.equal(source_mask[:, 0, 0], kept)
    theirs = nn.Transformer.generate_square_subsequent_mask(5) == 0
    assert torch.equal(target_mask[0, 0], theirs)
    assert torch.equal(target_mask[1, 0, :, 2:], torch.zeros(5, 3, dtype=torch.bool))


def test_three_steps_are_those_of_a_plain_loop() -> None:
    """Several steps of the student's function, on the chapter's own model, against torch.optim written plainly."""
    torch.manual_seed(0)
    batches = []
    for _ in range(3):
        source, target = torch.randint(3, 9, (4, 5)), torch.randint(3, 9, (4, 3))
        target[1, 2:] = source[2, 3:] = 0
        batches.append((source, *ANSWERS["shift_right_batch"](source, target, 0, 1, 2)))
    ended = []
    for plainly in (False, True):
        torch.manual_seed(1)
        model = ANSWERS["Transformer"](9, 9, 8, 2, 12, num_layers=2, dropout=0.1).double().eval()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        losses = []
        for batch in batches:
            if not plainly:
                losses.append(ANSWERS["train_step"](model, batch, optimizer, schedule, 0.5))
                continue
            source, inputs, labels, masks = batch
            for parameter in model.parameters():
                parameter.grad = None
            logp = model.train()(source, inputs, *masks).log_softmax(-1)
            chosen = [logp[i, j, label] for i, row in enumerate(labels) for j, label in enumerate(row) if label != -100]
            loss = -sum(chosen) / len(chosen)
            loss.backward()
            gradients = [parameter.grad for parameter in model.parameters()]
            norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
            for gradient in gradients:
                gradient *= min(1.0, 0.5 / (norm + 1e-6))
            optimizer.step()
            for group in optimizer.param_groups:
                group["lr"] /= 2
            losses.append(loss.item())
        ended.append((losses, model.state_dict(), optimizer.param_groups[0]["lr"]))
    torch.testing.assert_close(ended[0], ended[1])


def test_a_training_under_way_has_a_state_and_gradients() -> None:
    model = seq2seq.tiny_seq2seq(5, 4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.8, momentum=0.9)
    schedule = under_way("StepLR", optimizer, 2, step_size=1, gamma=0.5)
    assert schedule.get_last_lr() == [pytest.approx(0.2)]
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert len(optimizer.state) == len(list(model.parameters()))


def test_masks_reach_the_tiny_model() -> None:
    make = Make(0)
    model = build_inputs({"model": make.recipe("autograder.course.seq2seq:tiny_seq2seq", 9, 8, 6)}, "cpu")["model"]
    source, target = make.integers(0, 9, 3, 7), make.integers(0, 8, 3, 5)
    other, later = source.clone(), target.clone()
    other[0, 5], later[:, 4] = (source[0, 5] + 1) % 9, (target[:, 4] + 1) % 8
    causal = CAUSAL.expand(3, 1, 5, 5)
    before = model(source, target, PADDED, causal)
    assert before.dtype == torch.float64
    torch.testing.assert_close(model(other, target, PADDED, causal), before)  # what has changed is masked
    torch.testing.assert_close(model(source, later, PADDED, causal)[:, :4], before[:, :4])
    assert not torch.allclose(model(source, later, PADDED), before)
    assert not torch.allclose(model(other, target, None, causal), before)


# -- an error costs its marks once -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"causal_mask": lambda time: torch.ones(time, time, dtype=torch.bool).triu()},
        {"EncoderLayer": nn.Identity, "DecoderLayer": nn.Bilinear},
        {"EncoderLayer": None, "DecoderLayer": None, "causal_mask": None},
    ],
    ids=["nothing", "causal_mask", "layers", "all three"],
)
def test_wrong_layers_cost_the_model_nothing(wrong: dict[str, Any]) -> None:
    exercise = EXERCISES["transformer_model"]
    namespace: dict[str, Any] = {**ANSWERS, **vars(torch.nn), "nn": nn, "math": __import__("math"), "torch": torch}
    namespace.update({"Tensor": Tensor, "sinusoids": seq2seq.sinusoids, "F": F, **ANSWERS})
    exec(exercise.blank()["Transformer"], namespace)
    namespace.update(wrong)
    verdict = judge_here(make_key(exercise, seed=4), namespace)
    assert verdict.status == "right"
    assert ("carried" in [remark.kind for remark in verdict.remarks]) == bool(wrong)


def test_a_wrong_causal_mask_costs_the_batch_nothing() -> None:
    exercise = EXERCISES["shift_right_batch"]
    namespace: dict[str, Any] = {"Tensor": Tensor, "F": F, "torch": torch, "causal_mask": lambda time: None}
    exec(exercise.blank()["shift_right_batch"], namespace)
    verdict = judge_here(make_key(exercise, seed=4), namespace)
    assert verdict.status == "right"
    assert [remark.kind for remark in verdict.remarks] == ["carried"]


def test_a_mistake_is_named_beside_a_wrong_causal_mask() -> None:
    exercise = EXERCISES["shift_right_batch"]
    right = exercise.blank()["shift_right_batch"]
    source = re.sub(r"    labels = labels.masked_fill.*", "    labels = inputs.masked_fill(inputs == pad, -100)", right)
    assert source != right
    namespace: dict[str, Any] = {"Tensor": Tensor, "F": F, "torch": torch}
    namespace["causal_mask"] = lambda time: torch.ones(time, time, dtype=torch.bool).triu()
    exec(source, namespace)
    verdict = judge_here(make_key(exercise, seed=4), namespace)
    assert verdict.fraction == 0
    assert verdict.mistake is not None
    assert verdict.mistake.name == "not_shifted"


# -- what a learner sees -----------------------------------------------------------------------------------------------

SHIFTED_AGAIN = """
def train_step(model, batch, optimizer, schedule, clip):
    source, inputs, labels, masks = batch
    model.train()
    optimizer.zero_grad()
    logits = model(source, inputs, *masks)
    loss = F.cross_entropy(logits[:, :-1].reshape(-1, logits.size(-1)), labels[:, 1:].reshape(-1))
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    schedule.step()
    return loss
"""


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("", "", "shifted_twice"),
        ("    optimizer.zero_grad()\n", "", "gradients_not_cleared"),
        ("    model.train()\n", "", "in_evaluation_mode"),
        ("    optimizer.step()\n    schedule.step()", "    schedule.step()\n    optimizer.step()", "schedule_first"),
    ],
)
def test_an_error_in_a_step_is_named_in_the_self_check(old: str, new: str, named: str) -> None:
    source = SHIFTED_AGAIN
    if old:
        source = source.replace("logits[:, :-1]", "logits").replace("labels[:, 1:]", "labels").replace(old, new)
    namespace: dict[str, Any] = {"F": F, "nn": nn}
    exec(source, namespace)
    verdict = judge_here(make_key(EXERCISES["train_step"], seed=4, hidden=False), namespace)
    assert verdict.mistake is not None
    assert verdict.mistake.name == named
