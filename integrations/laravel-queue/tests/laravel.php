<?php

/** Laravel in PHP's include_path, where Debian's package puts it. */

declare(strict_types=1);

require_once 'Illuminate/autoload.php';
