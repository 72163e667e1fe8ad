"""Parts of the Rasa pipeline that Rasa does not bring. They run in Rasa's own environment, on Python 3.10."""
