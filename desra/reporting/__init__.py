"""What makes a folder of results a page to look at.

``entries`` (what the page says of an image), ``pictures`` (small copies to look at), ``regions``
(masks as outlines and boxes), ``tables`` (scores and other tables), ``page`` (the HTML).
"""
