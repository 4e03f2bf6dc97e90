"""Differentiable forms of what a fused image is measured by, for pairs of sources at once.

Every function takes three tensors (N, 1, H, W), `fused`, `a` and `b`, with values 0..255, and
returns one value per sample, (N,), summed over the two sources as the fusion literature reports it.
They follow `lkcfuse.metrics` (the same windows, constants and borders) but for what has no useful
derivative, which each docstring names. The metrics judge, these only teach.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from lkcfuse.training.filters import gaussian_taps, sobel, uniform_taps, valid_filter

SSIM_C1 = (0.01 * 255) ** 2
SSIM_C2 = (0.03 * 255) ** 2
VIF_WINDOWS = (17, 9, 5, 3)
VIF_NOISE = 2.0
# How sharply two gradients on either side of upright are told apart: 0.9 at 0, 0.1 at
# 2 degrees on the other side.
LEAN_SLOPE = 120.0
MEF_WEIGHTS = (0.0448, 0.2856, 0.3001)
MEF_C = (0.03 * 255) ** 2
MEF_WINDOW = 11
# The exponents that tell weak from strong structure are between 0 and this.
MEF_SHARPEST = 10.0
# Below this a variance is rounding.
MEF_FLAT = 2e-2
# Below this a variance is rounding: float32 squares of 0..255 carry an error of about 4e-3.
VIF_FLAT = 1e-2


def _moments(images: Tensor, taps: tuple[float, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return local means (N, 3, ...), variances (N, 3, ...) and covariances (N, 2, ...).

    `images` is (N, 3, H, W): fused, a, b; the covariances are of the fused image with a and b.
    """
    fused = images[:, :1]
    stack = torch.cat([images, images * images, fused * images[:, 1:]], dim=1)
    local = valid_filter(stack, taps)
    mean, square, cross = local[:, :3], local[:, 3:6], local[:, 6:]
    variance = (square - mean * mean).clamp_min(0)
    return mean, variance, cross - mean[:, :1] * mean[:, 1:]


def ssim(fused: Tensor, a: Tensor, b: Tensor, *, window: str = "uniform") -> Tensor:
    """Return SSIM(fused, a) + SSIM(fused, b) per sample, at most 2.

    Args:
        fused: Fused images, (N, 1, H, W), 0..255.
        a: First sources, the same shape.
        b: Second sources, the same shape.
        window: `uniform` is the 7x7 window with the sample covariance of the reported metric,
            `gaussian` the 11x11 window of deviation 1.5 of the original paper (Wang et al., 2004).
    """
    uniform = window == "uniform"
    taps = uniform_taps(7) if uniform else gaussian_taps(11, 1.5)
    unbiased = 49 / 48 if uniform else 1.0
    mean, variance, covariance = _moments(torch.cat([fused, a, b], dim=1), taps)
    mean_f, mean_s = mean[:, :1], mean[:, 1:]
    var_f, var_s = unbiased * variance[:, :1], unbiased * variance[:, 1:]
    top = (2 * mean_f * mean_s + SSIM_C1) * (2 * unbiased * covariance + SSIM_C2)
    bottom = (mean_f**2 + mean_s**2 + SSIM_C1) * (var_f + var_s + SSIM_C2)
    return (top / bottom).mean(dim=(2, 3)).sum(dim=1)


def vif(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return VIF(a, fused) + VIF(b, fused) per sample (Sheikh and Bovik, 2006, pixel domain).

    Scales for which the image is too small are left out. Where the gain from source to fused is
    negative it is taken as zero, which has no gradient; there the metric has none either.
    """
    images = torch.cat([fused, a, b], dim=1)
    kept = torch.zeros_like(fused[:, 0, 0, :1]).repeat(1, 2)
    there = kept.clone()
    for scale, size in enumerate(VIF_WINDOWS):
        taps = gaussian_taps(size, size / 5)
        if scale:
            if min(images.shape[-2:]) < size:
                break
            images = valid_filter(images, taps, step=2)
        if min(images.shape[-2:]) < size:
            break
        _, variance, covariance = _moments(images, taps)
        var_f, var_s = variance[:, :1], variance[:, 1:]
        textured = var_s > VIF_FLAT
        gain = torch.where(textured, covariance / (var_s + VIF_FLAT**2), 0.0).clamp_min(0)
        residual = (var_f - gain * covariance).clamp_min(0)
        var_s = torch.where(textured, var_s, 0.0)
        kept = kept + torch.log1p(gain**2 * var_s / (residual + VIF_NOISE)).sum(dim=(2, 3))
        there = there + torch.log1p(var_s / VIF_NOISE).sum(dim=(2, 3))
    ratio = torch.where(there > 0, kept / there.clamp_min(1e-6), 1.0)
    return ratio.sum(dim=1)


def scd(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return corr(a, fused - b) + corr(b, fused - a) per sample (Aslantas and Bendes, 2015).

    A constant image correlates with nothing: its term is 0.
    """
    return _correlation(a, fused - b) + _correlation(b, fused - a)


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.flatten(1), y.flatten(1)
    x, y = x - x.mean(dim=1, keepdim=True), y - y.mean(dim=1, keepdim=True)
    # 1 is the square of one grey level: far below any picture, far above rounding.
    scale = ((x * x).mean(dim=1) * (y * y).mean(dim=1) + 1).sqrt()
    return (x * y).mean(dim=1) / scale


def qabf(fused: Tensor, a: Tensor, b: Tensor, *, border: str = "none") -> Tensor:
    """Return the edge preservation Qabf per sample (Xydeas and Petrovic, 2000).

    The metric's angles lie in (-90, 90] degrees and their difference is not wrapped: two nearly
    upright gradients that lean to either side count as opposed, and there the metric is flat. Here
    the difference is wrapped and such a pair is discounted smoothly, so that it can be mended.

    Args:
        fused: Fused images, (N, 1, H, W), 0..255.
        a: First sources, the same shape.
        b: Second sources, the same shape.
        border: As in `sobel`. The metric pads with black, which puts a strong edge around the
            image; around a crop there is none, so the loss drops the border.
    """
    gx, gy = sobel(torch.cat([fused, a, b], dim=1), border=border)
    strength = (gx * gx + gy * gy + 1e-4).sqrt()
    fx, fy, f_strength = gx[:, :1], gy[:, :1], strength[:, :1]
    sx, sy, s_strength = gx[:, 1:], gy[:, 1:], strength[:, 1:]
    ratio = torch.minimum(f_strength, s_strength) / torch.maximum(f_strength, s_strength)
    cross, dot = (fx * sy - fy * sx).abs(), (fx * sx + fy * sy).abs()
    turn = torch.atan2(cross + 1e-4, dot + 1e-4)
    agreement = 1 - turn / (math.pi / 2)
    # Which side of upright: the metric's angle is 90 degrees, positive, where gx is 0.
    side = torch.where(sx * sy < 0, -1.0, 1.0)
    lean = fx * fy.sign() / f_strength * side
    same_side = torch.where(sx.abs() < sy.abs(), torch.sigmoid(LEAN_SLOPE * lean + 2), 1.0)
    quality = 0.9994 * torch.sigmoid(15 * (ratio - 0.5))
    quality = quality * 0.9879 * torch.sigmoid(22 * (agreement - 0.8)) * same_side
    weight = torch.where(s_strength > 0.02, s_strength, 0.0)
    total = weight.sum(dim=(1, 2, 3))
    return (quality * weight).sum(dim=(1, 2, 3)) / total.clamp_min(1e-6)


def mef_ssim(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return MEF-SSIM per sample (Ma, Zeng and Wang, 2015), at most 1.

    Of the three scales those are left out for which the image is too small.
    """
    # About grey, so that float32 keeps more digits of the variances.
    images = torch.cat([fused, a, b], dim=1) - 127.5
    product, total = torch.ones_like(fused[:, 0, 0, 0]), 0.0
    for scale, weight in enumerate(MEF_WEIGHTS):
        if scale:
            images = functional.avg_pool2d(images, 2)
        if min(images.shape[-2:]) < MEF_WINDOW:
            break
        quality = _mef_quality(images).mean(dim=(1, 2)).clamp_min(1e-3)
        product = product * quality**weight
        total += weight
    return product ** (1 / total)


def _mef_quality(images: Tensor) -> Tensor:
    """Return the quality of each window at one scale, (N, H - 10, W - 10)."""
    a, b = images[:, 1], images[:, 2]
    with torch.no_grad():
        local = valid_filter(torch.stack([a, b, a * a, b * b, a * b], 1), uniform_taps(MEF_WINDOW))
        mean_a, mean_b = local[:, 0], local[:, 1]
        var_a, var_b = local[:, 2] - mean_a**2, local[:, 3] - mean_b**2
        cov_ab = local[:, 4] - mean_a * mean_b
        flat_a, flat_b = var_a < MEF_FLAT, var_b < MEF_FLAT
        var_a, var_b = var_a.masked_fill(flat_a, 0), var_b.masked_fill(flat_b, 0)
        cov_ab = cov_ab.masked_fill(flat_a | flat_b, 0)
        size = float(MEF_WINDOW)
        norm_a, norm_b = size * var_a.sqrt() + 1e-3, size * var_b.sqrt() + 1e-3
        both = size * (var_a + var_b + 2 * cov_ab).clamp_min(0).sqrt()
        agreement = (both / (norm_a + norm_b)).clamp(0, 1 - 1e-6)
        exponent = (agreement * (math.pi / 2)).tan().clamp_max(MEF_SHARPEST)
        share_a = (norm_a / size) ** exponent + 1e-12
        share_b = (norm_b / size) ** exponent + 1e-12
        share_a, share_b = share_a / (share_a + share_b), share_b / (share_a + share_b)
        part_a, part_b = share_a / norm_a, share_b / norm_b
        length = part_a**2 * var_a + part_b**2 * var_b + 2 * part_a * part_b * cov_ab
        scale = torch.maximum(norm_a, norm_b) / (size * length.clamp_min(1e-12).sqrt())
        scale = scale.masked_fill(flat_a & flat_b, 0)
        part_a = (part_a * scale).masked_fill(flat_a, 0)
        part_b = (part_b * scale).masked_fill(flat_b, 0)
    f = images[:, 0]
    taps = gaussian_taps(MEF_WINDOW, 1.5)
    stack = torch.stack([f, a, b, f * f, a * a, b * b, f * a, f * b, a * b], 1)
    m = valid_filter(stack, taps).unbind(1)
    var_f = (m[3] - m[0] ** 2).clamp_min(0)
    var_a, var_b = m[4] - m[1] ** 2, m[5] - m[2] ** 2
    cov_fa, cov_fb, cov_ab = m[6] - m[0] * m[1], m[7] - m[0] * m[2], m[8] - m[1] * m[2]
    var_r = part_a**2 * var_a + part_b**2 * var_b + 2 * part_a * part_b * cov_ab
    cov = part_a * cov_fa + part_b * cov_fb
    return (2 * cov + MEF_C) / (var_r.clamp_min(0) + var_f + MEF_C)
