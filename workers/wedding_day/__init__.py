"""What a wedding needs as its day comes near."""
