"""What evaluate is made of: masks against the truth, before against after, and how sure both are.

``masks`` and ``change`` measure an image and add up, ``metrics`` asks pyiqa, ``intervals`` draws
the images anew, ``tables`` prints, ``sheet`` draws.
"""
