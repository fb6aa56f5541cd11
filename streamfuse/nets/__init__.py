"""Networks, their losses and their colour arithmetic, as pure torch.

Nothing here opens a file, picks a device or knows of frames: tensors go in, tensors come out.
``registry`` lists the networks by name, ``grdb`` is the default one, ``losses`` trains it, ``color``
is the arithmetic before and after it, ``published`` maps a published checkpoint onto our names.
"""
