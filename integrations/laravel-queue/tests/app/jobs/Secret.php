<?php

declare(strict_types=1);

namespace App\Jobs;

use Illuminate\Contracts\Queue\ShouldBeEncrypted;

class Secret extends Note implements ShouldBeEncrypted
{
}
