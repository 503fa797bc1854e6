"""What judges call features, and whether the name tells where a feature fires."""
