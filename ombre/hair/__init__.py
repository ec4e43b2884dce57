"""What is known of a picture's hair whatever the colour: its edge, its people, its light."""
