"""What methods are composed of. A part never knows which method uses it."""
