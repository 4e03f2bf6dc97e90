"""Metrics without known answers, on cases whose values follow from the formulas by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lkcfuse.metrics.artefacts import nabf
from lkcfuse.metrics.exposure import WEIGHTS as MEF_WEIGHTS
from lkcfuse.metrics.exposure import mef_ssim
from lkcfuse.metrics.feature_information import fmi
from lkcfuse.metrics.information import mi, nmi
from lkcfuse.metrics.multiscale import WEIGHTS, gt_ms_ssim, ms_ssim
from lkcfuse.metrics.perceptual import qcb, qcv
from lkcfuse.metrics.pixelwise import gt_mae, gt_psnr
from lkcfuse.metrics.saliency import qe, qs, qw
from lkcfuse.metrics.structural import gt_ssim, ssim

FLAT = np.full((8, 8), 50.0)


def noise(height=40, width=48, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (height, width))


# NMI


def test_nmi_of_one_source_kept_and_one_independent():
    top, left = np.array([[0, 0], [9, 9]]), np.array([[0, 9], [0, 9]])
    assert nmi(top, top, left) == pytest.approx(1.0)
    assert mi(top, top, left) == pytest.approx(math.log(2))


def test_nmi_of_a_merged_level():
    # F has levels 0, 0, 1, 1 where A has 0, 1, 2, 2: I = H(F) = ln 2, H(A) = 1.5 ln 2.
    fused, a = np.array([[0, 0, 1, 1]]), np.array([[0, 1, 2, 2]])
    assert nmi(fused, a, a) == pytest.approx(2 * 2 * math.log(2) / (2.5 * math.log(2)))


# FMI


def window(*values):
    """Return a 3x3 window from values column by column, the rest 0."""
    return np.array([*values, *[0] * (9 - len(values))], float).reshape(3, 3).T


def entropy(*shares):
    return -sum(share * math.log(abs(share)) for share in shares if share)


def test_fmi_of_two_pixels_that_correlate():
    # Shares p = (1/2, 1/2) and q = (2/3, 1/3). Their upper bound M puts 1/2, 0, 1/6, 1/3 on the
    # four cells: covariance 1/6, spreads 1/2 and sqrt(2)/3, so a correlation of sqrt(1/2). The
    # windows' own is sqrt(7/8), and phi = sqrt(7/4).
    phi = math.sqrt(7 / 4)
    cells = [
        phi * bound + (1 - phi) * independent
        for bound, independent in [(1 / 2, 1 / 3), (0, 1 / 6), (1 / 6, 1 / 3), (1 / 3, 1 / 6)]
    ]
    entropies = entropy(1 / 2, 1 / 2) + entropy(2 / 3, 1 / 3)
    expected = 2 * (entropies - entropy(*cells)) / entropies
    fused, a = window(90, 90), window(200, 100)
    assert fmi(fused, a, a) == pytest.approx(expected)
    assert fmi(fused, a, fused) == pytest.approx((expected + 1) / 2)


def test_fmi_of_two_pixels_apart_takes_the_lower_bound():
    # p is on pixels 1 and 2, q on 8 and 9, by halves. The lower bound puts 1/2 on (1, 9) and on
    # (2, 8): covariance -1/4, spreads 1/2 each, so a correlation of -1. The windows' own is
    # -(2 / 9^2 * 9) / (1/2 - 1/9) = -(1/9) / (7/18) = -2/7, and phi = 2/7.
    phi = 2 / 7
    cells = [phi / 2 + (1 - phi) / 4] * 2 + [(1 - phi) / 4] * 2
    expected = 2 * (2 * math.log(2) - entropy(*cells)) / (2 * math.log(2))
    fused = window(7, 7)
    a = window(0, 0, 0, 0, 0, 0, 0, 7, 7)
    assert fmi(fused, a, a) == pytest.approx(expected)


def fmi_of_window(p, q):
    """Return the normalized information of two 3x3 windows, cell by cell as the paper has it."""
    if (p == q).all():
        return 1.0
    p, q = ((x.T.ravel() - x.min()) / (x.max() - x.min()) for x in (p, q))
    p, q = p / p.sum(), q / q.sum()
    c = np.corrcoef(p, q)[0, 1]
    P, Q = np.cumsum(p), np.cumsum(q)
    bound = np.minimum.outer(P, Q) if c > 0 else np.maximum(np.add.outer(P, Q) - 1, 0)
    position = np.arange(9)
    spreads = [math.sqrt((position**2 * x).sum() - (position * x).sum() ** 2) for x in (p, q)]
    phi = c / ((bound - np.outer(P, Q)).sum() / (spreads[0] * spreads[1]))
    cells = np.diff(np.diff(np.pad(bound, ((1, 0), (1, 0))), axis=0), axis=1)
    joint = phi * cells + (1 - phi) * np.outer(p, q)
    entropies = entropy(*p) + entropy(*q)
    return 2 * (entropies - entropy(*joint[np.abs(joint) > 1e-12])) / entropies


def test_fmi_is_the_mean_over_windows_read_column_by_column():
    f, a, b = np.random.default_rng(5).integers(0, 50, (3, 6, 9))
    a[:, :4] = 50 - f[:, :4]  # windows that correlate negatively
    b[1:5, 4:] = f[1:5, 4:]  # and equal ones
    expected = [
        fmi_of_window(f[r : r + 3, c : c + 3], x[r : r + 3, c : c + 3])
        for x in (a, b)
        for r in range(4)
        for c in range(7)
    ]
    assert fmi(f, a, b) == pytest.approx(np.mean(expected))
    assert fmi(f.T, a.T, b.T) != pytest.approx(np.mean(expected), rel=1e-3)


def test_fmi_of_single_pixels_that_differ_is_none():
    assert fmi(window(9), window(0, 9), window(0, 0, 9)) == 0


# Nabf


def test_nabf_of_an_edge_that_no_source_has():
    fused = np.kron([[0, 200]], np.ones((8, 4)))
    # Two of eight columns see the edge; strength ratio 0, angle pi/2 against 0: agreement 0.
    quality = math.sqrt(0.9999 / (1 + math.exp(9.5)) * 0.9995 / (1 + math.exp(11)))
    assert nabf(fused, FLAT, FLAT) == pytest.approx((1 - quality) * 2 / 8)


def test_nabf_of_an_edge_made_steeper():
    fused, source = (np.kron([[0, step]], np.ones((8, 4))) for step in (160, 40))
    # Gradients 80 and 20, one direction: ratio 1/4, agreement 1. Both sources weigh alike, and
    # the flat columns weigh 0.001.
    quality = math.sqrt(0.9999 / (1 + math.exp(19 / 4)) * 0.9995 / (1 + math.exp(-11)))
    edge, rest = 20**1.5 * 2, 0.001 * 6
    expected = (1 - quality) * edge / (edge + rest)
    assert nabf(fused, source, source) == pytest.approx(expected)


def test_nabf_of_an_edge_made_softer_is_none():
    fused, source = (np.kron([[0, step]], np.ones((8, 4))) for step in (40, 160))
    assert nabf(fused, source, FLAT) == 0


# MS-SSIM


def test_ms_ssim_of_two_flat_images_is_their_luminance_at_the_last_scale():
    x, y = np.full((180, 161), 100.0), np.full((180, 161), 60.0)
    luminance = (2 * 100 * 60 + 6.5025) / (100**2 + 60**2 + 6.5025)
    assert ms_ssim(x, y, x) == pytest.approx(luminance**0.1333 + 1)
    assert gt_ms_ssim(x, y) == pytest.approx(luminance**0.1333)


def test_ms_ssim_of_a_checkerboard_loses_contrast_at_the_first_scale_alone():
    signs = (-1.0) ** np.add.outer(np.arange(176), np.arange(176))
    x, y = 128 + 80 * signs, 128 + 20 * signs
    # Under the window the board's mean is +-s^2 times its amplitude, s the weights' alternating
    # sum, and its mean square the amplitude's. Halved once it is flat.
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    s = (weights * (-1.0) ** np.arange(11)).sum() / weights.sum()
    spread = 1 - s**4
    contrast = (2 * 80 * 20 * spread + 58.5225) / ((80**2 + 20**2) * spread + 58.5225)
    assert gt_ms_ssim(x, y) == pytest.approx(contrast ** WEIGHTS[0])


def test_ms_ssim_of_a_negative_is_none():
    x = noise(176, 176)
    assert ms_ssim(255 - x, x, x) == 0


# Qcb


def test_qcb_sees_relative_contrast_so_brightness_changes_nothing():
    a, b = noise(seed=1) / 2, noise(seed=2) / 2
    assert qcb(a, a, a) == pytest.approx(1)
    assert qcb(2 * a, a, a) == pytest.approx(1)
    assert qcb(a, a, b) == pytest.approx(qcb(2 * a, 2 * a, 2 * b))


def test_qcb_of_a_lost_source_is_the_share_of_pixels_without_contrast():
    # A flat image has contrast where the windows reach over its border; inside it has none.
    flat, black = np.full((90, 70), 100.0), np.zeros((90, 70))
    inside = (90 - 30) * (70 - 30) / (90 * 70)
    assert qcb(black, flat, flat) == pytest.approx(inside)
    assert qcb(black, flat, black) == pytest.approx(inside)
    assert qcb(flat, flat, black) == pytest.approx(1)


# Qcv


def test_qcv_of_a_brighter_copy_is_the_eyes_response_to_flat_light():
    # Frequency 0: 2.6 * 0.0192 of the difference is seen, everywhere.
    source = noise() / 2
    assert qcv(source + 30, source, source) == pytest.approx((2.6 * 0.0192 * 30) ** 2)


def test_qcv_of_a_grating_is_the_eyes_response_to_its_frequency():
    # 4 cycles over a width seen under 4 degrees: 1 cycle per degree, amplitude 20.
    source = noise(32, 64)
    grating = 20 * np.cos(2 * np.pi * 4 * np.arange(64) / 64)
    response = 2.6 * (0.0192 + 0.144) * math.exp(-(0.144**1.1))
    assert qcv(source + grating, source, source) == pytest.approx((response * 20) ** 2 / 2)


def test_qcv_weighs_a_region_by_its_gradients_to_the_fifth():
    # One region, so one weight per source: B has A's gradients halved, 1/32 of A's weight.
    a, b = noise(16, 16, seed=1), noise(16, 16, seed=1) / 2
    fused = a + 30
    alone_a, alone_b = qcv(fused, a, a), qcv(fused, b, b)
    assert qcv(fused, a, b) == pytest.approx((32 * alone_a + alone_b) / 33)


def test_qcv_averages_a_smaller_region_at_the_border_over_its_own_pixels():
    source = noise(20, 23) / 2
    assert qcv(source + 30, source, source) == pytest.approx((2.6 * 0.0192 * 30) ** 2)


# Against a ground truth


def test_reference_metrics():
    truth = noise(seed=3)
    fused = truth + np.where(truth < 100, 10, -20)
    darker = float((truth < 100).mean())
    assert gt_mae(fused, truth) == pytest.approx(10 * darker + 20 * (1 - darker))
    error = 100 * darker + 400 * (1 - darker)
    assert gt_psnr(fused, truth) == pytest.approx(10 * math.log10(255**2 / error))
    assert gt_psnr(truth, truth) == math.inf
    assert 2 * gt_ssim(fused, truth) == pytest.approx(ssim(fused, truth, truth))


# Qs, Qw and Qe


def test_qs_of_a_brighter_copy_is_its_luminance():
    # One window: covariance and variances are equal, so the index is 2 x y / (x^2 + y^2) of means.
    a = np.kron([[100, 140], [140, 100]], np.ones((4, 4)))
    expected = 2 * 120 * 180 / (120**2 + 180**2)
    assert qs(a + 60, a, a) == pytest.approx(expected)
    assert qw(a + 60, a, a) == pytest.approx(expected)


def test_qs_of_half_the_contrast():
    # Deviations 10 and 20 about one mean: 2 * 10 * 20 / (10^2 + 20^2).
    board = np.kron([[-1, 1], [1, -1]], np.ones((4, 4)))
    assert qs(100 + 10 * board, 100 + 20 * board, 100 + 20 * board) == pytest.approx(0.8)


def test_qs_takes_the_source_that_varies_more():
    # Variances 900 and 100: the first source counts nine times as much. The fused image is it, and
    # varies at right angles to the second, whose index is 0.
    rows = np.kron([[1], [-1]], np.ones((4, 8)))
    a, b = 100 + 30 * rows, 100 + 10 * rows.T
    assert qs(a, a, b) == pytest.approx(0.9)
    assert qs(b, a, b) == pytest.approx(0.1)


def test_qs_of_flat_windows_compares_means_and_two_black_ones_are_alike():
    flat = np.full((8, 8), 60.0)
    assert qs(flat, FLAT, FLAT) == pytest.approx(2 * 50 * 60 / (50**2 + 60**2))
    assert qs(0 * flat, 0 * flat, 0 * flat) == 1


def test_qw_weighs_windows_by_their_variance():
    # The left window varies by 900 and is kept, the right one by 100 and is a negative. In between
    # are windows of both, which a wide flat gap keeps apart.
    board = np.kron([[-1, 1], [1, -1]], np.ones((4, 4)))
    left, right, gap = 100 + 30 * board, 100 + 10 * board, np.full((8, 40), 100.0)
    source = np.hstack([left, gap, right])
    fused = np.hstack([left, gap, 200 - right])
    alone = [qw(np.hstack([x, gap]), np.hstack([y, gap]), np.hstack([y, gap]))
             for x, y in ((left, left), (200 - right, right))]  # fmt: skip
    assert alone == pytest.approx([1, -1])
    assert qw(fused, source, source) == pytest.approx((900 - 100) / (900 + 100))
    # Unweighted, every flat window counts as 1, and those of either board as much as the other's.
    windows, flat = 8 + 40 + 8 - 7, 40 - 7
    assert qs(fused, source, source) == pytest.approx((flat + 8 - 8) / windows)


def test_qe_is_the_product_with_the_edges_own():
    a, b, f = noise(seed=1), noise(seed=2), noise(seed=3)

    def edges(image):
        padded = np.pad(image, 1, mode="reflect")
        across = padded[:, 2:] - padded[:, :-2]
        along = padded[2:] - padded[:-2]
        dx = across[:-2] + 2 * across[1:-1] + across[2:]
        dy = along[:, :-2] + 2 * along[:, 1:-1] + along[:, 2:]
        return np.hypot(dx, dy)

    assert qe(f, a, b) == pytest.approx(qw(f, a, b) * qw(edges(f), edges(a), edges(b)))


# MEF-SSIM


def test_mef_ssim_asks_for_the_contrast_of_the_better_exposure_and_not_for_its_brightness():
    a = noise(48, 52, seed=1)
    assert mef_ssim(a, a, np.full_like(a, 255)) == pytest.approx(1)
    assert mef_ssim(a / 2 + 100, a / 2, a / 4) == pytest.approx(1)


def test_mef_ssim_of_half_the_contrast():
    # Waves along one diagonal, the same in each 2x2 block, which lose nothing when halved but go to
    # a constant at the second: scale one has them all, the coarser ones are flat and perfect.
    signs = (-1.0) ** np.add.outer(np.arange(48), np.arange(48))
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    s = (weights * (-1.0) ** np.arange(11)).sum() / weights.sum()
    spread = 1 - s**4
    # What is asked for is as long as the source's patch under a flat window, whose mean square is
    # 1 less that of its mean, 1 of 121; it is the source's patch itself.
    quality = (2 * 40 * 20 * spread + 58.5225) / ((40**2 + 20**2) * spread + 58.5225)
    found = mef_ssim(128 + 20 * signs, 128 + 40 * signs, np.full((48, 48), 128.0))
    assert found == pytest.approx(quality ** (MEF_WEIGHTS[0] / sum(MEF_WEIGHTS)), rel=1e-5)


def mef_ssim_of_patches(f, a, b):
    """Return one scale's quality, patch by patch as the paper's program has it."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    values = []
    for top in range(f.shape[0] - 10):
        for left in range(f.shape[1] - 10):
            part = (slice(top, top + 11), slice(left, left + 11))
            x = [image[part] - image[part].mean() for image in (a, b)]
            lengths = [np.linalg.norm(patch) + 0.001 for patch in x]
            agreement = np.linalg.norm(x[0] + x[1]) / sum(lengths)
            exponent = min(math.tan(math.pi / 2 * min(agreement, 1 - 1e-15)), 10)
            shares = [(length / 11) ** exponent + np.finfo(float).eps for length in lengths]
            wanted = sum(
                share / sum(shares) * patch / length
                for share, patch, length in zip(shares, x, lengths, strict=True)
            )
            if np.linalg.norm(wanted):
                wanted = wanted / np.linalg.norm(wanted) * max(lengths)
            wanted = wanted - (window * wanted).sum()
            given = f[part] - (window * f[part]).sum()
            products = [(window * p * q).sum() for p, q in
                        ((wanted, given), (wanted, wanted), (given, given))]  # fmt: skip
            values.append((2 * products[0] + 58.5225) / (products[1] + products[2] + 58.5225))
    return np.mean(values)


def test_mef_ssim_is_the_mean_over_patches_at_three_scales():
    rng = np.random.default_rng(3)
    scene = np.clip(np.cumsum(rng.normal(0, 12, (46, 49)), axis=1) + 120, 0, 400)
    a, b = np.clip(scene, 0, 255), np.clip(scene / 3 + rng.normal(0, 3, scene.shape), 0, 255)
    f = (a + b) / 2
    a[:20, :20] = 255  # a sky that is burnt out
    expected, images = 1.0, [f, a, b]
    for weight in MEF_WEIGHTS:
        expected *= mef_ssim_of_patches(*images) ** weight
        even = [np.pad(x, [(0, side % 2) for side in x.shape], mode="edge") for x in images]
        images = [(x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4 for x in even]
    assert mef_ssim(f, a, b) == pytest.approx(expected ** (1 / sum(MEF_WEIGHTS)), rel=1e-6)
