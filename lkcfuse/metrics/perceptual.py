"""Metrics after models of human contrast vision: Qcb and Qcv."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.edges import sobel
from lkcfuse.metrics.plane import FloatArray, Plane, gaussian, planes

#: Below this many grey levels a local mean is no luminance to take a contrast to, and below this
#: a contrast is none: both are then what rounding leaves of a flat part.
ROUNDING = 1e-6
REGION = 16
SALIENCY_POWER = 5


def qcb(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Chen-Blum metric (Qcb): how well the fused image preserves the sources' visible contrast.

    Qcb = mean(L_A Q_AF + L_B Q_BF), with saliency L_A = C_A^2 / (C_A^2 + C_B^2) and preservation
    Q_AF = min(C_A, C_F) / max(C_A, C_F), C = |c|^3 / (|c|^2 + 0.0001) the masked contrast and
    c = (G2 * I) / (G4 * I) - 1 Peli's local contrast between Gaussians of sigma 2 and 4 pixels
    (31x31, zeros outside) of the image I filtered by the contrast sensitivity
    exp(-(r / 15.3870)^2) - 0.7622 exp(-(r / 1.3456)^2), r in cycles per degree where height and
    width are seen under 15 degrees each. A contrast below 1e-6 is none; where neither image of a
    ratio has any there is nothing to lose: preservation 1, saliency 1/2.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        0..1; higher is better.

    Source:
        Chen, Blum: A new automated quality assessment algorithm for image fusion. Image Vis.
        Comput. 27, 2009; viewing condition of the toolbox of Liu et al.: Objective assessment of
        multiresolution image fusion algorithms. IEEE Trans. Pattern Anal. Mach. Intell. 34, 2012.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).uniform(0, 255, (32, 32))
        >>> round(qcb(noise, noise, noise), 6)
        1.0
    """
    f, a, b = planes(fused, a, b)
    contrast_f, contrast_a, contrast_b = (_masked_contrast(plane) for plane in (f, a, b))
    energy_a, energy_b = np.square(contrast_a), np.square(contrast_b)
    salience_a = _ratio(energy_a, energy_a + energy_b, otherwise=0.5)
    quality = salience_a * _preserved(contrast_a, contrast_f)
    quality += (1 - salience_a) * _preserved(contrast_b, contrast_f)
    return float(quality.mean())


def qcv(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Chen-Varshney metric (Qcv): visible difference from the sources where they are salient.

    Qcv = sum(S_A D_A + S_B D_B) / sum(S_A + S_B) over 16x16 regions (smaller at the lower and
    right border): saliency S = sum(g^5), g the Sobel gradient's magnitude (zeros outside the
    image), and D the mean square of A - F, or B - F, filtered by the contrast sensitivity
    2.6 (0.0192 + 0.144 r) exp(-(0.144 r)^1.1), r in cycles per degree where height and width are
    seen under 4 degrees each. The whole difference is filtered at once, so that regions have no
    seams. Undefined (nan) where no source has a gradient: both are black.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        Squared grey levels, 0 upwards; lower is better.

    Source:
        Chen, Varshney: A human perception inspired quality metric for image fusion based on
        regional information. Inf. Fusion 8, 2007; viewing condition and power of the toolbox of
        Liu et al.: Objective assessment of multiresolution image fusion algorithms. IEEE Trans.
        Pattern Anal. Mach. Intell. 34, 2012.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).uniform(0, 255, (32, 32))
        >>> qcv(noise, noise, noise)
        0.0
    """
    f, a, b = planes(fused, a, b)
    frequency = _frequencies(f.shape, degrees=4)
    scaled = 0.144 * frequency
    sensitivity = 2.6 * (0.0192 + scaled) * np.exp(-(scaled**1.1))
    difference = total = 0.0
    for source in (a, b):
        visible = np.square(_filtered(source.pixels - f.pixels, sensitivity))
        for rows in _regions(f.shape[0]):
            salience = sobel(source, rows)[0] ** SALIENCY_POWER
            for columns in _regions(f.shape[1]):
                weight = float(salience[:, columns].sum())
                difference += weight * float(visible[rows, columns].mean())
                total += weight
    return difference / total if total > 0 else math.nan


def _masked_contrast(plane: Plane) -> FloatArray:
    frequency = _frequencies(plane.shape, degrees=15)
    sensitivity = np.exp(-np.square(frequency / 15.3870))
    sensitivity -= 0.7622 * np.exp(-np.square(frequency / 1.3456))
    seen = _filtered(plane.pixels, sensitivity)
    fine, coarse = (
        np.asarray(cv2.sepFilter2D(seen, cv2.CV_64F, g, g, borderType=cv2.BORDER_CONSTANT))
        for g in (gaussian(31, 2.0), gaussian(31, 4.0))
    )
    contrast = np.ones_like(fine)
    np.divide(fine, coarse, out=contrast, where=np.abs(coarse) > ROUNDING)
    contrast = np.abs(contrast - 1)
    contrast *= contrast > ROUNDING
    masked: FloatArray = contrast**3 / (contrast**2 + 1e-4)
    return masked


def _preserved(source: FloatArray, fused: FloatArray) -> FloatArray:
    return _ratio(np.minimum(source, fused), np.maximum(source, fused), otherwise=1.0)


def _ratio(numerator: FloatArray, denominator: FloatArray, *, otherwise: float) -> FloatArray:
    """Quotient, or a given value where the denominator is 0."""
    result = np.full_like(denominator, otherwise)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _frequencies(shape: tuple[int, ...], *, degrees: float) -> FloatArray:
    """Radial frequency of each coefficient of `rfft2`, in cycles per degree.

    Args:
        shape: Height and width of the image.
        degrees: Angle under which its height, and its width, are seen.
    """
    height, width = shape
    down = np.fft.fftfreq(height, 1 / height) / degrees
    across = np.fft.rfftfreq(width, 1 / width) / degrees
    radial: FloatArray = np.hypot(down[:, None], across)
    return radial


def _filtered(pixels: FloatArray, response: FloatArray) -> FloatArray:
    """Multiply an image's spectrum by a real response on the grid of `rfft2`."""
    return np.asarray(np.fft.irfft2(np.fft.rfft2(pixels) * response, s=pixels.shape))


def _regions(length: int) -> list[slice]:
    return [slice(start, min(start + REGION, length)) for start in range(0, length, REGION)]
