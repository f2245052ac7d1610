"""The terms of the training losses: small pure functions of tensors, all differentiable.

Batches are (n, length) windows or (n,) scores; row i is the same beat in every argument. Nothing
here knows a network, so nothing can be trained by accident.
"""

import torch
from torch import Tensor
from torch.nn import functional

from beatgan.model.model import MIN_ERROR


def reconstruction(windows: Tensor, expected: Tensor) -> Tensor:
    """Mean squared error: |x - G(x)|^2 of BeatGAN (Zhou et al., IJCAI 2019)."""
    return functional.mse_loss(expected, windows)


def gaussian_nll(windows: Tensor, expected: Tensor, log_variance: Tensor) -> Tensor:
    """Mean negative log likelihood, but for a constant: (log s^2 + (x - m)^2 / s^2) / 2.

    Of each sample x under a normal distribution of mean m and variance s^2 (Nix & Weigend, 1994).
    """
    squares = (windows - expected).square()
    return 0.5 * (log_variance + squares * torch.exp(-log_variance)).mean()


def output_matching(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of what student and teacher expect: |x'_S - x'_T|^2."""
    return functional.mse_loss(student, teacher)


def log_error(windows: Tensor, expected: Tensor, scored: slice) -> Tensor:
    """Component ``error`` of the score (see Calibration): log of the mean over scored samples."""
    squares = (windows - expected)[:, scored].square()
    return squares.mean(dim=1).clamp_min(MIN_ERROR).log()


def rank(student: Tensor, teacher: Tensor) -> Tensor:
    """How far the student is from ordering each pair of a batch as the teacher does (RankNet).

    Burges et al. (ICML 2005): the divergence between the probabilities, a sigmoid of the
    difference of standardised log errors (n,), that the one beat is the more anomalous of the two.
    """
    found, wanted = _standardised(student), _standardised(teacher)
    pairs = torch.triu_indices(len(student), len(student), 1, device=student.device)
    apart = found[pairs[0]] - found[pairs[1]]
    right = wanted[pairs[0]] - wanted[pairs[1]]
    return functional.kl_div(
        _log_classes(apart), _log_classes(right), reduction="batchmean", log_target=True
    )


def score_matching(student: Tensor, teacher: Tensor) -> Tensor:
    """Smooth-L1 distance of the log errors (n,) themselves: so that thresholds carry over."""
    return functional.smooth_l1_loss(student, teacher)


def batch_kl(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(t / T) || softmax(s / T)) over the beats of a batch.

    SI-BeatGAN's term (Lim & Hwang 2021) made able to teach: ``student`` and ``teacher`` are log
    errors (n,) of the same beats, each standardised over the batch first, so that the softmax is
    neither flat nor a single beat, and the student's carry their gradient.
    """
    wanted = functional.log_softmax(_standardised(teacher) / temperature, dim=0)
    found = functional.log_softmax(_standardised(student) / temperature, dim=0)
    return temperature**2 * functional.kl_div(found, wanted, reduction="sum", log_target=True)


def hinton(
    student: Tensor, teacher: Tensor, anomalous: Tensor, temperature: float, alpha: float
) -> Tensor:
    """alpha T^2 KL(teacher_T || student_T) + (1 - alpha) CE(student, truth), over two classes.

    Hinton, Vinyals & Dean (2015). ``student`` and ``teacher`` are logits (n,) of "anomalous"
    against "normal"; ``anomalous`` (n,) is 1 for pseudo-anomalies and 0 for normal beats.
    """
    soft = functional.kl_div(
        _log_classes(student / temperature),
        _log_classes(teacher / temperature),
        reduction="batchmean",
        log_target=True,
    )
    hard = functional.binary_cross_entropy_with_logits(student, anomalous)
    return alpha * temperature**2 * soft + (1 - alpha) * hard


def hinton_with_labels(
    student: Tensor,
    teacher: Tensor,
    label: Tensor,
    temperature: float,
    alpha: float,
    smoothing: float = 0.0,
) -> Tensor:
    """alpha T^2 KL(teacher_T || student_T) + (1 - alpha) CE(student, label), of each row (n,).

    Hinton, Vinyals & Dean (2015). ``student`` and ``teacher`` are logits (n, classes); ``label``
    (n,) is the place of the right class, of which ``smoothing`` is spread over all.
    """
    soft = functional.kl_div(
        functional.log_softmax(student / temperature, dim=1),
        functional.log_softmax(teacher / temperature, dim=1),
        reduction="none",
        log_target=True,
    ).sum(dim=1)
    hard = functional.cross_entropy(student, label, reduction="none", label_smoothing=smoothing)
    return alpha * temperature**2 * soft + (1 - alpha) * hard


def _standardised(scores: Tensor) -> Tensor:
    return (scores - scores.mean()) / scores.std().clamp_min(1e-6)


def _log_classes(logits: Tensor) -> Tensor:
    """Log probabilities (n, 2) of anomalous and normal."""
    return torch.stack([functional.logsigmoid(logits), functional.logsigmoid(-logits)], dim=1)
