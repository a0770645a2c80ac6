//! Scaling, codebook, mixture, density, calibration; fit; the model file and its card.
