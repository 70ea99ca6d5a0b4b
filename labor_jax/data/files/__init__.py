"""Files on disk: finding them, decoding images and labels, and checking them in advance."""
