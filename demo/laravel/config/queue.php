<?php

return [
    'default' => 'amqp1',
    'connections' => [
        'amqp1' => [
            'driver' => 'amqp1',
            'dsn' => env('AMQP1_DSN'),
            'queue' => 'amqp1-demo-laravel',
            'block_for' => 1,
        ],
    ],
    'failed' => ['driver' => 'null'],
];
