"""Sign-in as it is commonly built with Django: REST framework and simplejwt, rotation and blacklist switched on."""
