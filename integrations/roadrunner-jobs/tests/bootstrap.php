<?php
// Loads the signatures of RoadRunner's SDK in sdk.php. With AMQP1_ROADRUNNER_SDK, the SDK itself: its folder src.

declare(strict_types=1);

require __DIR__ . '/../../../tests/bootstrap.php';
require __DIR__ . '/load.php';
require __DIR__ . '/Application.php';
