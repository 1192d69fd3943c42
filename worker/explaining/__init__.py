"""Why a trained network answered what it did: attributions, their quality and their pictures.

Shapes throughout: n images, c classes, t targets asked of each image, k channels, s pixels per side of the
network's input, h x w cells of a map, g cells per side of the partition grid, b masked images in one forward.
Images enter as PIL RGB and become float32 [n, 3, s, s], normalised as the backbone expects.
"""
