"""The losses between a student's and a teacher's features: against loops, gradients, and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from wsreid.losses import similarity_distribution_loss, similarity_preserving_loss

LOSSES = [similarity_distribution_loss, similarity_preserving_loss]


def features(seed, n=6, student=4, teacher=7):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(n, student, generator=generator, dtype=torch.float64),
        torch.randn(n, teacher, generator=generator, dtype=torch.float64),
    )


def dots(rows, unit):
    lists = rows.tolist()
    if unit:
        lists = [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in lists]
    return [[sum(x * y for x, y in zip(a, b, strict=True)) for b in lists] for a in lists]


def naive_distribution(student, teacher, tau):
    ours, theirs = dots(student, unit=True), dots(teacher, unit=True)
    total, n = 0.0, len(ours)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        q, p = ([math.exp(row[i][j] / tau) for j in others] for row in (ours, theirs))
        total += sum(a / sum(p) * math.log(a / sum(p) / (b / sum(q))) for a, b in zip(p, q, strict=True))
    return total / n


def naive_preserving(student, teacher):
    ours, theirs = (
        [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in dots(rows, unit=False)]
        for rows in (student, teacher)
    )
    n = len(ours)
    return sum((theirs[i][j] - ours[i][j]) ** 2 for i in range(n) for j in range(n)) / n**2


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 9), tau=st.sampled_from((0.05, 0.5)))
def test_they_are_the_loops(seed, n, tau):
    pair = features(seed, n)
    assert float(similarity_distribution_loss(*pair, tau)) == pytest.approx(naive_distribution(*pair, tau), rel=1e-8)
    assert float(similarity_preserving_loss(*pair)) == pytest.approx(naive_preserving(*pair), rel=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_reach_the_student_alone(loss):
    student, teacher = features(1)
    student.requires_grad_()
    teacher.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: loss(f, teacher), (student,))
    loss(student, teacher).backward()
    assert student.grad.any()
    assert teacher.grad is None


@pytest.mark.parametrize("loss", LOSSES)
def test_a_student_that_is_its_teacher_turned_has_nothing_to_learn(loss):
    _, teacher = features(2)
    turn = torch.linalg.qr(torch.randn(9, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64))[0]
    student = (teacher @ turn.T).requires_grad_()  # (N, 7) -> (N, 9), the same angles and lengths
    value = loss(student, teacher)
    value.backward()
    assert_close(value.detach(), torch.zeros((), dtype=torch.float64), atol=1e-12, rtol=0)
    assert_close(student.grad, torch.zeros_like(student), atol=1e-10, rtol=0)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n", [0, 1])
def test_without_two_images_zero_and_zero_gradient(loss, n):
    student, teacher = features(4, n)
    student.requires_grad_()
    value = loss(student, teacher)
    value.backward()
    assert value.item() == 0
    assert not student.grad.any()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("alike", ["student", "teacher", "both"])
def test_images_that_are_all_alike_give_finite_numbers(loss, alike):
    student, teacher = features(5)
    student = student[:1].expand(6, -1).clone() if alike != "teacher" else student
    teacher = teacher[:1].expand(6, -1).clone() if alike != "student" else teacher
    student.requires_grad_()
    value = loss(student, teacher)
    value.backward()
    assert value.isfinite()
    assert student.grad.isfinite().all()
    assert (value.item() < 1e-12) is (alike == "both")


@pytest.mark.parametrize("loss", LOSSES)
def test_float32_under_autocast(loss):
    student, teacher = (f.float() for f in features(6))
    outside = loss(student, teacher)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(student, teacher)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, outside)
    assert loss(student.bfloat16(), teacher.bfloat16()).dtype == torch.float32


def test_a_temperature_above_zero():
    with pytest.raises(ValueError, match="temperature"):
        similarity_distribution_loss(*features(7), 0.0)
